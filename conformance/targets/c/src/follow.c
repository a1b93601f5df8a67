/* SPDX-License-Identifier: Apache-2.0 */
/* Publish: an edited index is made ready for readers, and the other one follows it, or its edits are taken back. */
#include <string.h>

#include "parts.h"

/* Make ready for readers what was edited. Clusters get blocks of their own, if there is memory. */
void index_seal(struct pool *pool, struct index *index, struct index *other)
{
	size_t at, cut;

	if (!index->changed)
		return;
	for (at = index->same_front; at < index->count - index->same_back; at++) {
		if (at == index->gap_from && index->gap_end)
			at = index->gap_end;
		if (!index->places[at].block->fresh)
			continue;
		while (!index->places[at].slots && !hint_block(&index->places[at], &cut))
			if (make_room(pool, index, other) || split(pool, index, at, cut))
				break;
		index->places[at].block->fresh = false;
	}
	if (index->count > 1 && index->moved > index->count / 8 + (index->slots ? 2 : 0))
		make_directory(index);
}

/* Make `index` what `model` is; one of the two was edited. */
static void copy_places(struct index *index, const struct index *model, const struct index *edited, bool hints)
{
	size_t front = edited->same_front;
	size_t end = index->count == model->count ? model->count - edited->same_back : model->count;

	if (edited->gap_end) {
		memcpy(&index->places[front], &model->places[front], (edited->gap_from - front) * sizeof(*index->places));
		front = edited->gap_end;
	}
	if (front < end)
		memcpy(&index->places[front], &model->places[front], (end - front) * sizeof(*index->places));
	if (hints && model->slots)
		memcpy(index->hints, model->hints, model->slots * sizeof(uint16_t));
	index->count = model->count;
	index->slots = model->slots;
	index->base = model->base;
	index->shift = model->shift;
	index->dense = model->dense;
	index->moved = model->moved;
	index->entries = model->entries;
	index->overlaps = model->overlaps;
}

/* Readers have left `index`, and `published` is edited no more: make them alike. */
void index_follow(struct pool *pool, struct index *index, struct index *published)
{
	if (!published->changed)
		return;
	if (index->later) {
		use_later(pool, index);
		published->same_front = 0;
		published->same_back = 0;
		published->gap_end = 0;
		published->new_hints = true;
	}
	copy_places(index, published, published, published->new_hints);
	published->changed = false;
	published->shifted = false;
	published->new_hints = false;
}

/* Take all edits back. What they retired stays: forget it by pool_keep_retired. */
void index_revert(struct pool *pool, struct index *index, const struct index *published)
{
	size_t at;

	if (!index->changed)
		return;
	for (at = index->same_front; at < index->count - index->same_back; at++)
		if (index->places[at].block->fresh)
			pool_give(pool, index->places[at].block);
	pool->held = pool->held - index->entries + published->entries;
	copy_places(index, published, index, true);
	index->changed = false;
	index->shifted = false;
	index->new_hints = false;
}

/* Free an index; the blocks, which two share, with one of them. */
void index_drop(struct pool *pool, struct index *index, bool with_blocks)
{
	size_t at;

	for (at = 0; with_blocks && at < index->count; at++)
		block_free(pool, index->places[at].block);
	free_places(pool, index->places, index->room);
	free_places(pool, index->later, index->later_room);
}
