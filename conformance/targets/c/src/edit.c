/* SPDX-License-Identifier: Apache-2.0 */
/* Edit: a range is inserted or removed in a copy of its block; blocks split and join. */
#include <string.h>

#include "parts.h"

/* The entries of a place, in a fresh block with room for `need`; NULL if there is no memory. */
static struct entry *own(struct pool *pool, struct index *index, size_t place, size_t need, bool to_remove)
{
	struct entry *at = &index->places[place];
	struct block *old = at->block, *new;

	if (old->fresh && old->room >= need)
		return old->entries;
	new = pool_take(pool, need, to_remove);
	if (!new)
		return NULL;
	memcpy(new->entries, old->entries, at->count * sizeof(*new->entries));
	if (at->wide == (new->room > NARROW) && at->slots <= new->room * HINTS_PER_ENTRY)
		memcpy(new->entries + new->room, old->entries + old->room, (size_t)at->slots << at->wide);
	else
		at->slots = 0;
	at->block = new;
	at->room = (uint16_t)new->room;
	retire(pool, old);
	note_change(index, place, place + 1);
	return new->entries;
}

static int insert_first(struct pool *pool, struct index *index, struct entry new)
{
	struct block *block = pool_take(pool, 1, false);

	if (!block)
		return -ENOMEM;
	block->entries[0] = new;
	index->places[0] = (struct entry){.start = new.start, .reach = new.reach, .count = 1, .block = block};
	index->places[0].room = (uint16_t)block->room;
	index->count = 1;
	note_change(index, 0, 1);
	index->entries++;
	pool->held++;
	return 0;
}

/* Entries from .. count - 1 whose reach is `stale` may have it from one that is gone: `reach` is that of those before. */
static void reach_anew(struct entry *entries, size_t from, size_t count, uint64_t stale, uint64_t reach)
{
	for (; from < count && entries[from].reach == stale; from++) {
		uint64_t last = entries[from].start + item_of(&entries[from])->span;

		if (reach < last)
			reach = last;
		entries[from].reach = reach;
	}
}

/* Put an entry at a spot of `count` entries, which have room for one more. new.reach is its last byte. */
static void put_in(struct entry *entries, size_t count, size_t at, struct entry new)
{
	size_t next;

	memmove(&entries[at + 1], &entries[at], (count - at) * sizeof(new));
	for (next = at + 1; next <= count && entries[next].reach < new.reach; next++)
		entries[next].reach = new.reach;
	if (at && new.reach < entries[at - 1].reach)
		new.reach = entries[at - 1].reach;
	entries[at] = new;
}

/* Take the entry at a spot out of `count` entries, of which there are more. Returns the reach that it had. */
static uint64_t take_from(struct entry *entries, size_t count, size_t at)
{
	uint64_t removed = entries[at].reach;
	uint64_t reach = at ? entries[at - 1].reach : 0;

	memmove(&entries[at], &entries[at + 1], (count - 1 - at) * sizeof(*entries));
	reach_anew(entries, at, count - 1, removed, reach);
	return removed;
}

/* Move the entries of a place from `cut` on to a new place behind it. */
int split(struct pool *pool, struct index *index, size_t place, size_t cut)
{
	struct entry *left = &index->places[place];
	size_t moved = left->count - cut;
	struct block *block = pool_take(pool, moved + 1, false);
	struct entry right = {.reach = left->reach, .count = (uint16_t)moved, .block = block};

	if (!block)
		return -ENOMEM;
	memcpy(block->entries, left->block->entries + cut, moved * sizeof(right));
	reach_anew(block->entries, 0, moved, left->block->entries[cut - 1].reach, 0);
	right.room = (uint16_t)block->room;
	right.start = block->entries[0].start;
	left->count = (uint16_t)cut;
	insert_place(index, place, right);
	settle(index, place);
	return 0;
}

/* Make room for an entry at a spot of a full block. One who appends is not given room where he will not need it. */
static int split_full(struct pool *pool, struct index *index, struct spot *spot)
{
	size_t count = index->places[spot->place].count;
	bool appends = spot->place == index->count - 1 && spot->at == count;
	size_t cut = appends ? count : count / 2;

	if (split(pool, index, spot->place, cut))
		return -ENOMEM;
	if (spot->at > cut || appends) {
		spot->place++;
		spot->at -= cut;
	}
	return 0;
}

/* Insert a range; new.reach is its last byte. ENOMEM: no memory, and no change. */
int index_insert(struct pool *pool, struct index *index, struct index *other, struct entry new)
{
	struct entry *place, *entries;
	struct spot spot;

	if (make_room(pool, index, other))
		return -ENOMEM;
	if (!index->count)
		return insert_first(pool, index, new);
	spot = place_for(index, &new);
	if (index->places[spot.place].count >= pool->largest * (index->count == 1 ? 2 : 1) &&
	    split_full(pool, index, &spot))
		return -ENOMEM;
	place = &index->places[spot.place];
	entries = own(pool, index, spot.place, place->count + 1u, false);
	if (!entries)
		return -ENOMEM;
	put_in(entries, place->count, spot.at, new);
	place->count++;
	if (place->slots)
		hint_inserted(place, spot.at);
	settle(index, spot.place);
	index->entries++;
	pool->held++;
	return 0;
}

/* Make ready for the removal of an entry, or make a copy of its block. ENOMEM: no memory, and no change. */
int index_open(struct pool *pool, struct index *index, struct spot spot)
{
	return own(pool, index, spot.place, index->places[spot.place].count, true) ? 0 : -ENOMEM;
}

/* Whether there is more room between two places than they take: they may be clusters. */
static bool are_apart(const struct entry *left, const struct entry *right)
{
	uint64_t taken = left->reach - left->start + (right->reach - right->start);

	return right->start > left->reach && right->start - left->reach > taken;
}

/* Put the entries of the place behind into this one, if they are few and there is memory. Not where the spare block is in use:
 * what they leave behind is too small to give it back. */
static void join(struct pool *pool, struct index *index, size_t place)
{
	struct entry *left = &index->places[place];
	struct entry *right = left + 1, *entries;
	uint64_t reach = last_entry(left)->reach;
	size_t at;

	if (pool->keeps_spare && !pool->spare)
		return;
	if (left->count + right->count > (pool->largest + 1) / 2 || are_apart(left, right))
		return;
	entries = own(pool, index, place, (size_t)left->count + right->count, false);
	if (!entries)
		return;
	memcpy(entries + left->count, right->block->entries, right->count * sizeof(*entries));
	left->count = (uint16_t)(left->count + right->count);
	for (at = left->count - right->count; at < left->count && entries[at].reach < reach; at++)
		entries[at].reach = reach;
	left->reach = right->reach;
	left->slots = 0;
	remove_place(pool, index, place + 1);
	settle(index, place);
	hint_places(index, place, place + 1);
}

/* Remove an entry whose place was opened. */
void index_remove(struct pool *pool, struct index *index, struct spot spot)
{
	struct entry *place = &index->places[spot.place];
	uint64_t removed;

	index->entries--;
	pool->held--;
	if (place->count == 1) {
		remove_place(pool, index, spot.place);
		return;
	}
	removed = take_from(place->block->entries, place->count, spot.at);
	place->count--;
	hint_removed(place, removed);
	settle(index, spot.place);
	if (spot.place + 1 < index->count)
		join(pool, index, spot.place);
	else if (spot.place)
		join(pool, index, spot.place - 1);
}

/* Take out everything. */
void index_clear(struct pool *pool, struct index *index)
{
	size_t at;

	for (at = 0; at < index->count; at++)
		retire(pool, index->places[at].block);
	index->count = 0;
	index->slots = 0;
	index->overlaps = 0;
	pool->held -= index->entries;
	index->entries = 0;
	index->shifted = true;
	note_change(index, 0, 0);
}

/* If a removal has put the spare block to use, exchange that for another one: when the edit is published, the spare one is
 * free again. False: there was nothing to do. */
bool index_release_spare(struct pool *pool, struct index *index)
{
	size_t at;

	if (!pool->keeps_spare || !pool_keep_spare(pool))
		return false;
	for (at = 0; at < index->count; at++)
		if (index->places[at].room == largest_room(pool) && !index_open(pool, index, (struct spot){at, 0}))
			return true;
	return false;
}
