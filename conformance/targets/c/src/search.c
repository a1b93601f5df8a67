/* SPDX-License-Identifier: Apache-2.0 */
/* Search: what hints did not lead to, and where a range belongs. */
#include "parts.h"

/* The position of the first entry that reaches the address; `count` if none does. No branch depends on what is compared:
 * processors guess that wrong half of the time. */
size_t run_search(const struct entry *entries, size_t count, uint64_t address)
{
	size_t low = 0;
	size_t left = count;

	while (left) {
		size_t half = (left + 1) / 2;

		low += entries[low + half - 1].reach < address ? half : 0;
		left -= half;
	}
	return low;
}

/* Whether the place is the first that reaches the address. Its start may lie before its entries, where others are by now. */
static bool is_first(const struct index *index, const struct entry *place, uint64_t address)
{
	return place && place->reach >= address && (place == index->places || place[-1].reach < address);
}

/* As index_seek, where hints have not led to the entry; `place` is what they led to, or NULL. */
struct spot index_search(const struct index *index, const struct entry *place, uint64_t address)
{
	bool was_guessed = is_first(index, place, address);
	struct run run = places_of(index);
	struct spot spot = {0, 0};
	const struct entry *entry;

	spot.place = was_guessed ? (size_t)(place - index->places) : run_search(run.entries, run.count, address);
	if (spot.place == index->count)
		return spot;
	run = entries_of(&index->places[spot.place]);
	entry = was_guessed ? NULL : run_guess(&run, address);
	spot.at = entry ? (size_t)(entry - run.entries) : run_search(run.entries, run.count, address);
	return spot;
}

/* The first of the entries low .. high - 1 with start >= `start`; `high` if there is none. */
static size_t search_start(const struct entry *entries, size_t low, size_t high, uint64_t start)
{
	size_t left = high - low;

	while (left) {
		size_t half = (left + 1) / 2;

		low += entries[low + half - 1].start < start ? half : 0;
		left -= half;
	}
	return low;
}

/* The spot of the entry after this one. */
struct spot index_next(const struct index *index, struct spot spot)
{
	if (++spot.at == index->places[spot.place].count)
		spot = (struct spot){spot.place + 1, 0};
	return spot;
}

/* The first entry with start >= `start`. Whatever does not reach `start` starts before it; and where nothing overlaps, what
 * does reach it does not. */
struct spot index_from(const struct index *index, uint64_t start)
{
	struct spot spot = index_seek(index, start);
	const struct entry *entry = index_entry(index, spot);

	if (!entry || entry->start >= start)
		return spot;
	if (spot.place + 1 < index->count && index->places[spot.place + 1].start < start)
		spot.place = search_start(index->places, spot.place + 2, index->count, start) - 1;
	for (; spot.place < index->count; spot.place++) {
		const struct entry *place = &index->places[spot.place];

		spot.at = search_start(place->block->entries, 0, place->count, start);
		if (spot.at < place->count)
			return spot;
	}
	return (struct spot){index->count, 0};
}

/* The entry of this item, which is there. */
struct spot index_find(const struct index *index, uint64_t start, uintptr_t item)
{
	struct spot spot = index_from(index, start);

	while (spot_entry(index, spot)->item != item)
		spot = index_next(index, spot);
	return spot;
}

const struct item *item_of(const struct entry *entry)
{
	return entry_item(entry);
}

/* Where a new entry belongs. The index is not empty. */
struct spot place_for(const struct index *index, const struct entry *new)
{
	struct spot spot = {index->count, 0};

	if (new->start < UINT64_MAX)
		spot = index_from(index, new->start + 1);
	for (;;) {
		struct spot before = spot;
		const struct entry *entry;

		if (!before.at) {
			if (!before.place)
				return spot;
			before.place--;
			before.at = index->places[before.place].count;
		}
		before.at--;
		entry = spot_entry(index, before);
		if (entry->start < new->start || item_of(entry)->rank <= item_of(new)->rank)
			break;
		spot = before;
	}
	if (spot.place == index->count) {
		spot.place--;
		spot.at = index->places[spot.place].count;
	}
	return spot;
}
