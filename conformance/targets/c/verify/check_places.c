/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places after an edit: how far the blocks up to each reach, and where one reaches into the next. The one place whose block has
 * changed may say anything; nothing is assumed of what it said before but that it was right.
 */
#include "verify.h"

#include "places.c"

#ifndef PLACES
#define PLACES 4
#endif

void *memory_take(const struct memory *memory, size_t size);
void memory_give(const struct memory *memory, void *block, size_t size);
size_t fill_hints(const struct run *run, void *hints, size_t from, size_t to);
void move_hints(const struct run *run, void *hints, uint64_t address, bool up);
void retire(struct pool *pool, struct block *block);

/* Blocks of two entries: the first begins them, the last tells how far they reach. */
struct storage {
	struct block *next;
	void *memory;
	uint32_t room;
	bool fresh;
	struct entry entries[2];
};

static struct storage storages[PLACES];
static struct entry places[PLACES], was[PLACES];

/* What each place has to say, by the blocks alone. */
static bool is_right(const struct index *index, size_t from, size_t to)
{
	uint64_t reach = 0;
	size_t i;

	for (i = 0; i < PLACES && i < index->count; i++) {
		const struct entry *entries = index->places[i].block->entries;
		bool overlaps = i && entries[0].start <= reach;

		reach = reach < entries[1].reach ? entries[1].reach : reach;
		if (from <= i && i < to && (index->places[i].reach != reach || index->places[i].overlaps != overlaps))
			return false;
	}
	return true;
}

/* The other index, when it follows, takes this place over. */
static bool is_noted(const struct index *index, size_t place)
{
	return index->changed && index->same_front <= place && place < index->count - index->same_back &&
	       (index->shifted || place < index->gap_from || place >= index->gap_end);
}

void settled(void)
{
	struct index index = {.places = places, .count = 1 + any_below(PLACES), .room = PLACES, .changed = nondet_bool()};
	size_t at = any_below(index.count);
	size_t i, k = any_below(index.count), overlaps = 0;
	bool was_noted;

	for (i = 0; i < PLACES; i++) {
		storages[i].entries[0] = (struct entry){.start = nondet_u64(), .reach = nondet_u64()};
		storages[i].entries[1] = (struct entry){.start = nondet_u64(), .reach = nondet_u64()};
		places[i] = (struct entry){.start = nondet_u64(), .reach = nondet_u64(), .block = (struct block *)&storages[i]};
		places[i].count = 2;
		places[i].overlaps = nondet_bool();
		if (i < index.count)
			index.overlaps += places[i].overlaps;
	}
	index.same_front = any_below(index.count + 1);
	index.same_back = any_below(index.count + 1);
	index.gap_from = any_below(index.count + 1);
	index.gap_end = any_below(index.count + 1);
	index.shifted = nondet_bool();
	/* While places stay where they are, some have changed, and the gap lies among them. */
	ASSUME(!index.changed || index.shifted || index.same_front + index.same_back < index.count);
	ASSUME(!index.changed || !index.gap_end || (index.same_front < index.gap_from && index.gap_from < index.gap_end));
	ASSUME(!index.changed || !index.gap_end || index.gap_end < index.count - index.same_back);
	was_noted = is_noted(&index, k);
	ASSUME(is_right(&index, 0, PLACES));
	for (i = 0; i < PLACES; i++)
		was[i] = places[i];
	/* The block of a place is edited. */
	storages[at].entries[0].start = nondet_u64();
	storages[at].entries[1].reach = nondet_u64();
	settle(&index, at);
	CLAIM(is_right(&index, 0, PLACES), "every place says how far the blocks up to its own reach, and what overlaps");
	for (i = 0; i < PLACES; i++)
		if (i < index.count)
			overlaps += places[i].overlaps;
	CLAIM(index.overlaps == overlaps, "overlaps are counted");
	CLAIM(places[at].start == storages[at].entries[0].start, "without hints a place starts where its block does");
	if (places[k].reach != was[k].reach || places[k].start != was[k].start || places[k].overlaps != was[k].overlaps ||
	    k == at || was_noted)
		CLAIM(is_noted(&index, k), "what has changed is noted, for the other index");
	WITNESS(index.gap_end && !index.shifted && at >= index.gap_end, "there is a gap before it");
	WITNESS(index.count == PLACES && at == 0 && places[PLACES - 1].reach > was[PLACES - 1].reach, "it reaches over all others");
	WITNESS(index.count == PLACES && at == 0 && places[PLACES - 1].reach < was[PLACES - 1].reach, "and no longer does so");
	WITNESS(index.overlaps == 0 && index.count == PLACES, "nothing overlaps");
}
