/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation into segments, for all 64-bit values of all numbers. The search is replaced by what it promises (see
 * check_search.c): nothing, or any entry that holds the address. So the table may have any number of entries.
 */
#include "verify.h"

#include "translate.c"

#ifndef STEPS
#define STEPS 2
#endif

void table_use(struct gpamap_table *table, struct mapping *mapping)
{
	(void)table;
	(void)mapping;
}

static struct mapping found[STEPS + 1];
static struct entry entries[STEPS + 1];
static bool is_there[STEPS + 1];
static uint64_t asked[STEPS + 1];
static size_t searches;

const struct entry *index_at(const struct index *index, uint64_t address)
{
	size_t n = searches++;

	(void)index;
	CLAIM(n <= STEPS, "one search for a segment, and one more where it stops");
	asked[n] = address;
	is_there[n] = nondet_bool();
	found[n].first = nondet_u64();
	found[n].last = nondet_u64();
	found[n].host = nondet_u64();
	found[n].perm = nondet_u32();
	ASSUME(found[n].first <= address && address <= found[n].last);
	entries[n].mapping = &found[n];
	return is_there[n] ? &entries[n] : NULL;
}

void walk(void)
{
	struct gpamap_table table = {0};
	struct gpamap_segment segments[STEPS];
	struct gpamap_reach reach;
	uint64_t addr = nondet_u64();
	uint64_t length = nondet_u64();
	uint32_t access = nondet_bool() ? GPAMAP_READ : GPAMAP_WRITE;
	size_t room = any_below(STEPS + 1);
	int result = table_walk(&table, addr, length, access, segments, room, &reach);
	wide stop = (wide)addr + reach.bytes;
	size_t count = reach.segments;
	size_t i;

	CLAIM(count <= room, "no more segments than there is room for");
	CLAIM(reach.bytes <= length, "no more bytes than were asked for");
	CLAIM(stop <= TWO_TO_64, "no byte past the last address");

	/* The segments are the bytes in order, each of one entry. */
	if (count == 0) {
		CLAIM(reach.bytes == 0, "no segment, no byte");
	} else {
		CLAIM(segments[0].first == addr, "the first segment begins at the address");
		CLAIM(segments[count - 1].last == stop - 1, "the last one ends where the bytes end");
		i = any_below(count);
		CLAIM(asked[i] == segments[i].first, "its first byte is searched for");
		CLAIM(is_there[i] && found[i].perm & access, "it is of an entry that permits the access");
		CLAIM(segments[i].first <= segments[i].last, "it has a byte");
		CLAIM(segments[i].host == (uint64_t)(found[i].host + (segments[i].first - found[i].first)),
		      "its first byte is at its host byte, modulo 2^64");
		CLAIM(segments[i].last <= found[i].last, "no segment goes on behind its entry");
		if (i + 1 < count) {
			CLAIM(segments[i].last == found[i].last, "only the last one ends before its entry");
			CLAIM((wide)segments[i].last + 1 == segments[i + 1].first, "segments follow one another");
		} else if (result) {
			CLAIM(segments[i].last == found[i].last, "where it stops an entry ends");
		}
	}

	/* Where it stopped, and why. */
	CLAIM((result == 0) == (reach.bytes == length), "all of it, or an error");
	if (result) {
		CLAIM((result == -ENOBUFS) == (count == room), "ENOBUFS: no room for a segment");
		if (result != -ENOBUFS && stop == TWO_TO_64)
			CLAIM(result == -EFAULT && searches == count, "EFAULT: there is no such address");
		else if (result != -ENOBUFS)
			CLAIM(searches == count + 1 && asked[count] == stop &&
				      result == (is_there[count] ? -EPERM : -EFAULT),
			      "EFAULT: nothing is there; EPERM: it does not permit the access");
		if (result == -EPERM)
			CLAIM(!(found[count].perm & access), "EPERM: the access is not permitted");
	}

	WITNESS(result == 0 && count == STEPS, "all of it, in as many segments as there can be");
	WITNESS(result == 0 && stop == TWO_TO_64, "all of it, and the last address is in it");
	WITNESS(result == -EFAULT && stop == TWO_TO_64, "it stops behind the last address");
	WITNESS(result == -EFAULT && count && stop < TWO_TO_64, "EFAULT within");
	WITNESS(result == -EPERM && count, "EPERM");
	WITNESS(result == -ENOBUFS && count, "ENOBUFS");
	WITNESS(count && segments[0].host > segments[0].host + (segments[0].last - segments[0].first), "a host range wraps");
}
