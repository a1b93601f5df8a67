/* SPDX-License-Identifier: Apache-2.0 */
/* Places: each stands for a block. They come and go, and know how far the blocks up to their own reach. */
#include <string.h>

#include "parts.h"

#define SMALLEST_PLACES 4

static size_t places_size(size_t room)
{
	return room * (sizeof(struct entry) + HINTS_PER_PLACE * sizeof(uint16_t)) + HINTS_AT_ONCE;
}

void free_places(struct pool *pool, struct entry *places, size_t room)
{
	if (places)
		memory_give(&pool->memory, places, places_size(room));
}

/* The larger places become those of the index. */
void use_later(struct pool *pool, struct index *index)
{
	free_places(pool, index->places, index->room);
	index->places = index->later;
	index->room = index->later_room;
	index->hints = index->places + index->room;
	index->later = NULL;
	index->later_room = 0;
}

/* See to it that `index` has room for one more place, and `other` when it follows. */
int make_room(struct pool *pool, struct index *index, struct index *other)
{
	size_t room = index->room + index->room / 4 + SMALLEST_PLACES;
	struct entry *later;

	if (index->count < index->room)
		return 0;
	if (!index->later) {
		index->later = memory_take(&pool->memory, places_size(room));
		later = index->later ? memory_take(&pool->memory, places_size(room)) : NULL;
		if (!later) {
			free_places(pool, index->later, room);
			index->later = NULL;
			return -ENOMEM;
		}
		index->later_room = room;
		free_places(pool, other->later, other->later_room);
		other->later = later;
		other->later_room = room;
	} /* else it has grown as the other one, whose edits were taken back */
	if (index->count)
		memcpy(index->later, index->places, index->count * sizeof(*later));
	if (index->slots)
		memcpy(index->later + index->later_room, index->hints, index->slots * sizeof(uint16_t));
	use_later(pool, index);
	return 0;
}

/* Places from .. end - 1 are not what the other index has there. What lies between two changes is a gap, if there is none yet. */
void note_change(struct index *index, size_t from, size_t end)
{
	size_t front = index->same_front, past = index->count - index->same_back;
	size_t back = index->count - end;

	if (!index->changed || index->shifted || (end > index->gap_from && from < index->gap_end)) {
		index->gap_from = index->gap_end = 0;
	} else if (!index->gap_end && (from > past || end < front)) {
		index->gap_from = from > past ? past : end;
		index->gap_end = from > past ? from : front;
	}
	if (!index->changed || from < index->same_front)
		index->same_front = from;
	if (!index->changed || back < index->same_back)
		index->same_back = back;
	index->changed = true;
}

struct entry *last_entry(struct entry *place)
{
	return &place->block->entries[place->count - 1];
}

/* Does the place before reach into this one? */
static void note_overlap(struct index *index, size_t place)
{
	struct entry *at = &index->places[place];
	bool overlaps = place && at->block->entries[0].start <= at[-1].reach;

	if (overlaps == at->overlaps)
		return;
	index->overlaps += (size_t)overlaps - at->overlaps;
	at->overlaps = overlaps;
	note_change(index, place, place + 1);
}

/* The reach of places from .. to - 1 has changed: so has what comes before the one at `to`. */
void hint_places(struct index *index, size_t from, size_t to)
{
	struct run run = places_of(index);

	run.slots = index->slots;
	if (!index->slots)
		return;
	fill_hints(&run, index->hints, from, to < index->count ? to : index->count - 1);
	index->new_hints = true;
}

/* The entries of a place have changed: make its own fields right, and the reach of those behind. */
void settle(struct index *index, size_t place)
{
	struct entry *places = index->places;
	const uint64_t was = places[place].reach;
	uint64_t before = was;
	uint64_t reach = place ? places[place - 1].reach : 0;
	uint64_t own = last_entry(&places[place])->reach;
	size_t end = place + 1, at;

	if (!places[place].slots)
		places[place].start = places[place].block->entries[0].start;
	places[place].reach = reach > own ? reach : own;
	/* The next place reached further than this one did: by its own entries, which suffice. */
	if (end < index->count && places[end].reach > before && places[end].reach >= places[place].reach)
		before = places[place].reach;
	while (places[end - 1].reach != before && end < index->count) {
		own = last_entry(&places[end])->reach;
		before = places[end].reach;
		places[end].reach = places[end - 1].reach > own ? places[end - 1].reach : own;
		end++;
	}
	note_change(index, place, end);
	for (at = place; at <= end && at < index->count; at++)
		note_overlap(index, at);
	if (end > place + 1 || places[place].reach != was)
		hint_places(index, place, end);
}

/* Places behind the address have moved. */
static void move_places(struct index *index, uint64_t address, bool up)
{
	struct run run = places_of(index);

	run.slots = index->slots;
	move_hints(&run, index->hints, address, up);
	index->moved++;
	index->new_hints = true;
}

/* Put a place behind `before`, which has given part of its entries to it. */
void insert_place(struct index *index, size_t before, struct entry new)
{
	size_t at = before + 1;

	move_places(index, index->places[before].reach, true);
	memmove(&index->places[at + 1], &index->places[at], (index->count - at) * sizeof(new));
	index->places[at] = new;
	index->count++;
	index->shifted = true;
	note_change(index, before, at + 1);
}

/* Take out a place; its entries are elsewhere, or gone. */
void remove_place(struct pool *pool, struct index *index, size_t at)
{
	uint64_t reach = index->places[at].reach;

	retire(pool, index->places[at].block);
	index->overlaps -= index->places[at].overlaps;
	index->count--;
	memmove(&index->places[at], &index->places[at + 1], (index->count - at) * sizeof(*index->places));
	index->shifted = true;
	note_change(index, at, at);
	move_places(index, reach, false);
	if (at < index->count)
		settle(index, at);
}
