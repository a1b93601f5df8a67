/* SPDX-License-Identifier: Apache-2.0 */
/* Any index of PLACES blocks at most, each of PER_BLOCK entries at most, with any hints; and what it is as a list. */
#ifndef GPAMAP_ANY_INDEX_H
#define GPAMAP_ANY_INDEX_H

#include "verify.h"

#ifndef PLACES
#define PLACES 3
#endif
#ifndef PER_BLOCK
#define PER_BLOCK 2
#endif
#define MOST (PLACES * PER_BLOCK)
#define SLOTS 4 /* hints of each run */
#ifdef NO_HINTS
#define any_slots() 0
#else
#define any_slots() any_below(SLOTS + 1)
#endif

/* As in a block: entries, then hints. */
struct storage {
	struct block *next;
	void *memory;
	uint32_t room;
	bool fresh;
	struct entry entries[PER_BLOCK];
	uint16_t hints[SLOTS];
};

_Static_assert(offsetof(struct storage, entries) == offsetof(struct block, entries), "the storage of a block");

static struct storage storages[PLACES];
static struct entry places[PLACES];
static uint16_t directory[SLOTS];

/* The entries in order; `last` is the last byte of each. */
static struct entry listed[MOST];
static uint64_t last[MOST];
static size_t count_listed;

static struct index any_index(void)
{
	struct index index = {.places = places, .hints = directory, .count = any_below(PLACES + 1), .room = PLACES};
	uint64_t reach = 0, start = 0, before = 0;
	size_t i, j;

	count_listed = 0;
	for (i = 0; i < SLOTS; i++)
		directory[i] = nondet_u16();
	for (i = 0; i < PLACES; i++) {
		struct entry *place = &places[i];
		uint64_t own = 0;

		if (i >= index.count)
			break;
		place->block = (struct block *)&storages[i];
		place->count = (uint16_t)(1 + any_below(PER_BLOCK));
		place->room = PER_BLOCK;
		place->slots = (uint16_t)any_slots();
		place->shift = (uint8_t)any_below(64);
		place->wide = nondet_bool();
		for (j = 0; j < SLOTS; j++)
			storages[i].hints[j] = nondet_u16();
		for (j = 0; j < PER_BLOCK; j++) {
			struct entry *entry = &storages[i].entries[j];
			uint64_t first = nondet_u64(), end = nondet_u64();

			if (j >= place->count)
				break;
			ASSUME(start <= first && first <= end);
			if (j)
				ASSUME(place->slots == 0 || own < first); /* a block whose ranges overlap has no hints */
			own = own < end ? end : own;
			entry->start = start = first;
			entry->reach = own;
			entry->delta = nondet_u64();
			entry->item = nondet_u64();
			listed[count_listed] = *entry;
			last[count_listed++] = end;
		}
		/* A place starts where its hints do, or did: behind all entries of the place before. */
		place->start = nondet_u64();
		ASSUME(place->start >= before);
		before = start;
		place->overlaps = i && storages[i].entries[0].start <= reach;
		index.overlaps += place->overlaps;
		reach = reach < own ? own : reach;
		place->reach = reach;
	}
	index.entries = count_listed;
	index.slots = any_slots();
	index.base = nondet_u64();
	index.shift = (unsigned int)any_below(64);
	index.dense = nondet_bool();
	return index;
}

#endif
