/* SPDX-License-Identifier: Apache-2.0 */
/* A view: one set of slots, found by guest address, by host address and by number. */
#include <string.h>

#include "internal.h"

#define SMALLEST_IDS 8

static size_t view_size(const struct gpamap *map)
{
	return sizeof(struct gpamap_view) + map->config.address_spaces * sizeof(struct space);
}

struct gpamap_view *view_new(struct gpamap *map)
{
	struct gpamap_view *view = memory_take(&map->pool.memory, view_size(map));

	if (view) {
		view->map = map;
		view->nspaces = map->config.address_spaces;
	}
	return view;
}

static void free_ids(struct gpamap *map, struct slot **ids, size_t count)
{
	if (ids)
		memory_give(&map->pool.memory, ids, count * sizeof(struct slot *));
}

/* The two views share blocks: they are freed with one of them. */
void view_free(struct gpamap_view *view, bool with_blocks)
{
	struct gpamap *map = view->map;
	uint32_t at;

	for (at = 0; at < view->nspaces; at++) {
		struct space *space = &view->spaces[at];

		index_drop(&map->pool, &space->by_gpa, with_blocks);
		free_ids(map, space->by_id, space->ids);
		free_ids(map, space->later, space->later_ids);
	}
	index_drop(&map->pool, &view->by_hva, with_blocks);
	memory_give(&map->pool.memory, view, view_size(map));
}

/* ---- Search ---- */

struct slot *view_slot(const struct gpamap_view *view, uint32_t word)
{
	const struct space *space;

	if (space_of(word) >= view->nspaces)
		return NULL;
	space = &view->spaces[space_of(word)];
	return id_of(word) < space->ids ? space->by_id[id_of(word)] : NULL;
}

/* Whether another slot of the same address space has a byte in first .. last. */
bool view_overlaps(const struct gpamap_view *view, uint32_t word, uint64_t first, uint64_t last)
{
	const struct index *index = &view->spaces[space_of(word)].by_gpa;
	struct spot spot = index_seek(index, first);
	const struct entry *entry;

	for (; (entry = index_entry(index, spot)) && entry->start <= last; spot = index_next(index, spot))
		if (slot_of(entry)->word != word)
			return true;
	return false;
}

/* ---- Edit ---- */

static uintptr_t item_for(struct slot *slot)
{
	return (uintptr_t)slot | (slot->flags & GPAMAP_READONLY ? DENIES_WRITE : 0);
}

/* The larger by_id, which was filled, becomes that of the space. */
static void use_later_ids(struct gpamap *map, struct space *space)
{
	free_ids(map, space->by_id, space->ids);
	space->by_id = space->later;
	space->ids = space->later_ids;
	space->later = NULL;
	space->later_ids = 0;
}

/* See to it that `view` has room for this number, and `other` when it follows. */
static int make_id_room(struct gpamap_view *view, struct gpamap_view *other, uint32_t word)
{
	struct gpamap *map = view->map;
	struct space *space = &view->spaces[space_of(word)];
	struct space *follower = &other->spaces[space_of(word)];
	struct slot **ids, **later;
	size_t room;

	/* The other one has grown, by edits that were taken back. */
	if (id_of(word) >= space->ids && space->later) {
		if (space->ids)
			memcpy(space->later, space->by_id, space->ids * sizeof(struct slot *));
		use_later_ids(map, space);
	}
	if (id_of(word) < space->ids)
		return 0;
	room = space->ids ? space->ids : SMALLEST_IDS;
	while (room <= id_of(word))
		room *= 2;
	ids = memory_take(&map->pool.memory, room * sizeof(struct slot *));
	later = memory_take(&map->pool.memory, room * sizeof(struct slot *));
	if (!ids || !later) {
		free_ids(map, ids, room);
		free_ids(map, later, room);
		return -ENOMEM;
	}
	if (space->ids)
		memcpy(ids, space->by_id, space->ids * sizeof(struct slot *));
	free_ids(map, space->by_id, space->ids);
	free_ids(map, follower->later, follower->later_ids);
	space->by_id = ids;
	space->ids = room;
	follower->later = later;
	follower->later_ids = room;
	return 0;
}

/* Make `view` have at this number what `model` has. */
void view_copy_id(struct gpamap_view *view, const struct gpamap_view *model, uint32_t word)
{
	struct space *space = &view->spaces[space_of(word)];

	if (id_of(word) < space->ids)
		space->by_id[id_of(word)] = view_slot(model, word);
}

/* Readers have left `view`, and `published` is edited no more: make them alike in this space. */
void view_follow(struct gpamap_view *view, struct gpamap_view *published, uint32_t number)
{
	struct gpamap *map = view->map;
	struct space *space = &view->spaces[number];
	struct space *model = &published->spaces[number];

	index_follow(&map->pool, &space->by_gpa, &model->by_gpa);
	if (!space->later)
		return;
	memcpy(space->later, model->by_id, model->ids * sizeof(struct slot *));
	use_later_ids(map, space);
}

static void take_out(struct gpamap *map, struct index *index, uint64_t start, struct slot *slot)
{
	index_remove(&map->pool, index, index_find(index, start, item_for(slot)));
}

static struct entry guest_entry(struct slot *slot)
{
	return (struct entry){
		.start = slot->first,
		.reach = last_of(slot),
		.delta = slot->host - slot->first,
		.item = item_for(slot),
	};
}

static struct entry host_entry(struct slot *slot)
{
	return (struct entry){
		.start = slot->host,
		.reach = slot->host + slot->item.span,
		.delta = slot->first - slot->host,
		.item = item_for(slot),
	};
}

static int insert_slot(struct gpamap_view *view, struct gpamap_view *other, struct slot *slot)
{
	struct gpamap *map = view->map;
	uint32_t space = space_of(slot->word);

	if (make_id_room(view, other, slot->word) ||
	    index_insert(&map->pool, &view->spaces[space].by_gpa, &other->spaces[space].by_gpa, guest_entry(slot)))
		return -ENOMEM;
	if (index_insert(&map->pool, &view->by_hva, &other->by_hva, host_entry(slot))) {
		take_out(map, &view->spaces[space].by_gpa, slot->first, slot);
		return -ENOMEM;
	}
	return 0;
}

/* Find the entry of a slot, and make ready for its removal. */
static int open_at(struct gpamap *map, struct index *index, uint64_t start, struct slot *slot, struct spot *spot)
{
	*spot = index_find(index, start, item_for(slot));
	return index_open(&map->pool, index, *spot);
}

/* An entry of the same range and rank for the one at a spot, which was opened. */
static void exchange_entry(struct index *index, struct spot spot, struct entry new)
{
	struct entry *entry = &index->places[spot.place].block->entries[spot.at];

	entry->delta = new.delta;
	entry->item = new.item;
}

static int remove_slot(struct gpamap_view *view, struct slot *slot)
{
	struct gpamap *map = view->map;
	struct index *by_gpa = &view->spaces[space_of(slot->word)].by_gpa;
	struct spot at_gpa, at_hva;

	if (open_at(map, by_gpa, slot->first, slot, &at_gpa) || open_at(map, &view->by_hva, slot->host, slot, &at_hva))
		return -ENOMEM;
	index_remove(&map->pool, by_gpa, at_gpa);
	index_remove(&map->pool, &view->by_hva, at_hva);
	return 0;
}

/* `old` gives way to `new`, which has the same host bytes. */
static int exchange_slot(struct gpamap_view *view, struct gpamap_view *other, struct slot *old, struct slot *new)
{
	struct gpamap *map = view->map;
	uint32_t space = space_of(new->word);
	struct index *by_gpa = &view->spaces[space].by_gpa;
	bool moves = new->first != old->first;
	struct spot at_gpa, at_hva;

	/* What can fail comes first. For a moment a slot that moves is at both places, which no reader sees. */
	if (moves && index_insert(&map->pool, by_gpa, &other->spaces[space].by_gpa, guest_entry(new)))
		return -ENOMEM;
	if (open_at(map, by_gpa, old->first, old, &at_gpa) || open_at(map, &view->by_hva, old->host, old, &at_hva)) {
		if (moves)
			take_out(map, by_gpa, new->first, new);
		return -ENOMEM;
	}
	if (moves)
		index_remove(&map->pool, by_gpa, at_gpa);
	else
		exchange_entry(by_gpa, at_gpa, guest_entry(new));
	exchange_entry(&view->by_hva, at_hva, host_entry(new));
	return 0;
}

/* Take `old` out and put `new` in; either may be NULL, and both have the same host bytes. ENOMEM: no memory, and no change. */
int view_replace(struct gpamap_view *view, struct gpamap_view *other, struct slot *old, struct slot *new)
{
	uint32_t word = old ? old->word : new->word;
	int error;

	if (!old)
		error = insert_slot(view, other, new);
	else if (!new)
		error = remove_slot(view, old);
	else
		error = exchange_slot(view, other, old, new);
	if (!error)
		view->spaces[space_of(word)].by_id[id_of(word)] = new;
	return error;
}
