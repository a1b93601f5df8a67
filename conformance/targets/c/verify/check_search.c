/* SPDX-License-Identifier: Apache-2.0 */
/* The search in an index, against its definition entry by entry. Any content of ENTRIES entries at most, all addresses. */
#include "verify.h"

#include "index.c"

#ifndef ENTRIES
#define ENTRIES 8
#endif

void *memory_take(const struct memory *memory, size_t size);
void memory_give(const struct memory *memory, void *block, size_t size);

static struct entry entries[ENTRIES];

/* Any index. Of its entries only that is assumed which a search needs: the running maximum never falls. */
static struct index any_index(void)
{
	struct index index = {.entries = entries, .count = any_below(ENTRIES + 1), .room = ENTRIES};
	size_t i;

	for (i = 0; i < ENTRIES; i++) {
		entries[i] = (struct entry){.start = nondet_u64(),
					    .last = nondet_u64(),
					    .reach = nondet_u64(),
					    .rank = nondet_u64()};
		if (i)
			ASSUME(entries[i - 1].reach <= entries[i].reach);
	}
	return index;
}

/* The rest of what holds of an index: order, whole ranges, and an exact maximum. */
static void assume_exact(void)
{
	uint64_t reach = 0;
	size_t i;

	for (i = 0; i < ENTRIES; i++) {
		if (reach < entries[i].last)
			reach = entries[i].last;
		ASSUME(entries[i].start <= entries[i].last && entries[i].reach == reach);
		if (i)
			ASSUME(entries[i - 1].start <= entries[i].start);
	}
}

void seek(void)
{
	struct index index = any_index();
	uint64_t address = nondet_u64();
	size_t found = index_seek(&index, address);
	size_t other = any_below(ENTRIES);

	CLAIM(found <= index.count, "a position, or behind the last");
	if (found < index.count)
		CLAIM(entries[found].reach >= address, "it reaches the address");
	if (other < found)
		CLAIM(entries[other].reach < address, "and none before it does");
	WITNESS(found == ENTRIES, "none of all");
	WITNESS(found == ENTRIES - 1, "the last");
	WITNESS(found == 0 && index.count == ENTRIES, "the first");
}

void leftmost(void)
{
	struct index index = any_index();
	uint64_t address = nondet_u64();
	size_t other = any_below(ENTRIES);
	const struct entry *found;

	assume_exact();
	found = index_at(&index, address);
	if (found)
		CLAIM(found->start <= address && address <= found->last, "it holds the address");
	if (other < index.count && entries[other].start <= address && address <= entries[other].last)
		CLAIM(found && found <= &entries[other], "an entry that holds it is found, and none before it holds it");
	WITNESS(found && found != entries && found->start <= (found - 1)->last, "it overlaps the one before");
	WITNESS(!found && index.count == ENTRIES && address > entries[0].start && address < entries[ENTRIES - 1].start,
		"a hole");
}
