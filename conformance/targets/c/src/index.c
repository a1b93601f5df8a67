/* SPDX-License-Identifier: Apache-2.0 */
/* An index: ranges in order, searched by their running maximum. Serves guest addresses, host addresses and slot words. */
#include <string.h>

#include "index.h"

#define SMALLEST_ROOM 8

/* ---- Search ---- */

/* The position of the first entry that reaches the address; `count` if none does. */
size_t index_seek(const struct index *index, uint64_t address)
{
	size_t low = 0;
	size_t high = index->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->entries[middle].reach < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The leftmost entry that holds the address, or NULL. */
const struct entry *index_at(const struct index *index, uint64_t address)
{
	size_t position = index_seek(index, address);

	if (position == index->count || index->entries[position].start > address)
		return NULL;
	return &index->entries[position];
}

/* The position of the first entry at or after `position` that shares an address with first .. last, else `count`. */
size_t index_next(const struct index *index, size_t position, uint64_t first, uint64_t last)
{
	for (; position < index->count && index->entries[position].start <= last; position++)
		if (index->entries[position].last >= first)
			return position;
	return index->count;
}

/* ---- Edit ---- */

/* See to it that `room` entries will fit. Does not touch what readers read: the larger array is taken when it is needed. */
int index_reserve(const struct memory *memory, struct index *index, size_t room)
{
	struct entry *spare;
	size_t larger = index->room * 2;

	if (room <= index->room || room <= index->spare_room)
		return 0;
	if (larger < SMALLEST_ROOM)
		larger = SMALLEST_ROOM;
	if (larger < room)
		larger = room;
	spare = memory_take(memory, larger * sizeof(*spare));
	if (!spare)
		return -ENOMEM;
	if (index->spare)
		memory_give(memory, index->spare, index->spare_room * sizeof(*spare));
	index->spare = spare;
	index->spare_room = larger;
	return 0;
}

static void take_spare(const struct memory *memory, struct index *index)
{
	if (index->count)
		memcpy(index->spare, index->entries, index->count * sizeof(*index->entries));
	if (index->entries)
		memory_give(memory, index->entries, index->room * sizeof(*index->entries));
	index->entries = index->spare;
	index->room = index->spare_room;
	index->spare = NULL;
	index->spare_room = 0;
}

/* The position of the first entry that is not before (start, rank). */
size_t index_place(const struct index *index, uint64_t start, uint64_t rank)
{
	size_t low = 0;
	size_t high = index->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct entry *entry = &index->entries[middle];

		if (entry->start < start || (entry->start == start && entry->rank < rank))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void compute_reach_from(struct index *index, size_t position)
{
	uint64_t reach = position ? index->entries[position - 1].reach : 0;

	for (; position < index->count; position++) {
		if (reach < index->entries[position].last)
			reach = index->entries[position].last;
		index->entries[position].reach = reach;
	}
}

/* Room was reserved. */
void index_insert(const struct memory *memory, struct index *index, struct entry entry)
{
	size_t position = index_place(index, entry.start, entry.rank);

	if (index->count == index->room)
		take_spare(memory, index);
	memmove(&index->entries[position + 1], &index->entries[position],
		(index->count - position) * sizeof(*index->entries));
	index->entries[position] = entry;
	index->count++;
	compute_reach_from(index, position);
}

/* The entry is there. */
void index_remove(struct index *index, uint64_t start, uint64_t rank)
{
	size_t position = index_place(index, start, rank);
	size_t i;

	index->count--;
	for (i = position; i < index->count; i++)
		index->entries[i] = index->entries[i + 1];
	compute_reach_from(index, position);
}

/* There are only `count` entries now, and those before `changed_from` are as they were. */
void index_cut(struct index *index, size_t count, size_t changed_from)
{
	index->count = count;
	compute_reach_from(index, changed_from);
}

void index_drop(const struct memory *memory, struct index *index)
{
	if (index->entries)
		memory_give(memory, index->entries, index->room * sizeof(*index->entries));
	if (index->spare)
		memory_give(memory, index->spare, index->spare_room * sizeof(*index->spare));
}
