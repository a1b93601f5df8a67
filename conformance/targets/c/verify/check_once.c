/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A translation that is one segment. Of the index there is but a list of entries; the search is replaced by what it promises,
 * which check_search.c shows: the first entry that reaches the address.
 */
#include "verify.h"

#define index_at library_index_at
#include "index.h"
#undef index_at

#ifndef ENTRIES
#define ENTRIES 3
#endif

static struct entry listed[ENTRIES];
static size_t count_listed;

/* The number of the first entry that reaches an address; count_listed if there is none. */
static size_t first_reaching(uint64_t address)
{
	size_t n;

	for (n = 0; n < ENTRIES && n < count_listed; n++)
		if (listed[n].reach >= address)
			return n;
	return count_listed;
}

static const struct entry *index_at(const struct index *index, uint64_t address)
{
	size_t n = first_reaching(address);

	(void)index;
	return n < count_listed && listed[n].start <= address ? &listed[n] : NULL;
}

#include "translate.c"

/* Any list. That it is in order, no claim needs. */
static void any_list(void)
{
	size_t i;

	count_listed = any_below(ENTRIES + 1);
	for (i = 0; i < ENTRIES; i++) {
		listed[i] = (struct entry){nondet_u64(), nondet_u64(), {nondet_u64()}, {nondet_u64()}};
		ASSUME(listed[i].start <= listed[i].reach);
	}
}

/* One entry for all bytes. */
void once(void)
{
	struct index index = {.count = 1};
	struct gpamap_segment segment;
	struct gpamap_reach reach;
	uint64_t addr = nondet_u64();
	uint64_t length = nondet_u64();
	uintptr_t denied = (uintptr_t)(1 + any_below(3));
	bool is_once, holds_all;
	size_t n;

	ASSUME(length);
	any_list();
	is_once = walk_once(&index, addr, length, denied, &segment, &reach);
	n = first_reaching(addr);
	holds_all = n < count_listed && listed[n].start <= addr && (wide)addr + length - 1 <= listed[n].reach;
	CLAIM(is_once == (holds_all && !(listed[n].item & denied)), "its leftmost entry holds all bytes, and permits the access");
	if (is_once)
		CLAIM(segment.first == addr && segment.last == (wide)addr + length - 1 &&
			      segment.host == addr + listed[n].delta && reach.bytes == length && reach.segments == 1,
		      "one segment, at the host bytes of the entry, modulo 2^64");
	WITNESS(is_once && (wide)addr + length == TWO_TO_64 && n, "up to the last address");
	WITNESS(is_once && length == UINT64_MAX, "nearly all addresses");
	WITNESS(holds_all && !is_once, "it is denied");
}
