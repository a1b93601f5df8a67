/* SPDX-License-Identifier: Apache-2.0 */
/* The search as it is defined: entry by entry. And a walk through a map of so many entries, `each` of them in a block. */
#define index_at library_index_at
#define index_seek library_index_seek
#include "index.h"
#undef index_at
#undef index_seek

#include <stdlib.h>

struct spot index_seek(const struct index *index, uint64_t address)
{
	struct spot spot;

	for (spot.place = 0; spot.place < index->count; spot.place++)
		for (spot.at = 0; spot.at < index->places[spot.place].count; spot.at++)
			if (spot_entry(index, spot)->reach >= address)
				return spot;
	spot.at = 0;
	return spot;
}

const struct entry *index_at(const struct index *index, uint64_t address)
{
	const struct entry *entry = index_entry(index, index_seek(index, address));

	return entry && entry->start <= address ? entry : NULL;
}

/* `given` are entries in order, with the last byte of each in `reach`. */
int walk_case(const struct entry *given, size_t count, size_t each, uint64_t addr, uint64_t length, uintptr_t denied,
	      int refusal, struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	size_t places = (count + each - 1) / each;
	struct index index = {.places = calloc(places + 1, sizeof(struct entry)), .count = places};
	uint64_t before = 0;
	size_t at;
	int error;

	for (at = 0; at < count; at++) {
		struct entry *place = &index.places[at / each];
		struct entry *entry;

		if (!place->count)
			place->block = calloc(1, sizeof(struct block) + each * sizeof(*given));
		entry = &place->block->entries[place->count++];
		*entry = given[at];
		if (place->count > 1 && entry[-1].reach > entry->reach)
			entry->reach = entry[-1].reach;
		before = before > entry->reach ? before : entry->reach;
		place->reach = before;
	}
	error = walk(&index, addr, length, denied, refusal, segments, room, reach);
	for (at = 0; at < places; at++)
		free(index.places[at].block);
	free(index.places);
	return error;
}
