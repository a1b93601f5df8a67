/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation into segments, for all 64-bit values of all numbers. Searches are replaced by what they promise (see
 * check_search.c): nothing, or an entry that reaches the address. So the index may have any number of entries.
 */
#include "verify.h"

#define index_seek library_index_seek
#define index_entry library_index_entry
#include "index.h"
#undef index_seek
#undef index_entry

#ifndef STEPS
#define STEPS 2
#endif
#define SPOTS (2 * STEPS - 1) /* one search, then for each segment the next entry, and a search if that ends too early */

static struct entry found[SPOTS];
static bool is_there[SPOTS];
static bool is_next[SPOTS];
static uint64_t asked[SPOTS];
static size_t spots;

static struct spot any_spot(void)
{
	struct spot spot = {0, spots++};

	CLAIM(spot.at < SPOTS, "no more searches than are needed");
	is_there[spot.at] = nondet_bool();
	found[spot.at] = (struct entry){nondet_u64(), nondet_u64(), {nondet_u64()}, {nondet_u64()}};
	ASSUME(found[spot.at].start <= found[spot.at].reach);
	return spot;
}

static struct spot index_seek(const struct index *index, uint64_t address)
{
	struct spot spot = any_spot();

	(void)index;
	asked[spot.at] = address;
	ASSUME(found[spot.at].reach >= address);
	return spot;
}

struct spot index_next(const struct index *index, struct spot spot)
{
	struct spot next = any_spot();

	(void)index;
	CLAIM(next.at == spot.at + 1 && is_there[spot.at], "it goes on from the entry that it came to");
	is_next[next.at] = true;
	return next;
}

static const struct entry *index_entry(const struct index *index, struct spot spot)
{
	(void)index;
	return is_there[spot.at] ? &found[spot.at] : NULL;
}

#include "translate.c"

/* The spot for an address behind that of another: the next entry, if it reaches so far; else there was a search. */
static size_t spot_behind(size_t spot, uint64_t address)
{
	return is_there[spot + 1] && found[spot + 1].reach < address ? spot + 2 : spot + 1;
}

void walked(void)
{
	struct index index = {0};
	struct gpamap_segment segments[STEPS];
	struct gpamap_reach reach;
	uint64_t addr = nondet_u64();
	uint64_t length = nondet_u64();
	uintptr_t denied = (uintptr_t)(1 + any_below(3));
	size_t room = any_below(STEPS + 1);
	int result = walk(&index, addr, length, denied, -EPERM, segments, room, &reach);
	wide stop = (wide)addr + reach.bytes;
	size_t count = reach.segments;
	size_t spot = 0, i;

	CLAIM(count <= room, "no more segments than there is room for");
	CLAIM(reach.bytes <= length, "no more bytes than were asked for");
	CLAIM(stop <= TWO_TO_64, "no byte past the last address");

	/* The segments are the bytes in order, each of one entry. */
	if (!count)
		CLAIM(reach.bytes == 0, "no segment, no byte");
	else
		CLAIM(segments[0].first == addr && segments[count - 1].last == stop - 1, "from the address to where it stopped");
	for (i = 0; i < STEPS && i < count; i++) {
		if (i)
			spot = spot_behind(spot, segments[i].first);
		CLAIM(is_next[spot] || asked[spot] == segments[i].first, "its first byte was searched for");
		CLAIM(is_there[spot] && !(found[spot].item & denied), "it is of an entry that permits the access");
		CLAIM(found[spot].start <= segments[i].first && segments[i].first <= segments[i].last &&
			      segments[i].last <= found[spot].reach,
		      "of bytes that the entry holds");
		CLAIM(segments[i].host == segments[i].first + found[spot].delta, "at its host byte, modulo 2^64");
		if (i + 1 < count)
			CLAIM((wide)segments[i].last + 1 == segments[i + 1].first, "segments follow one another");
		if (i + 1 < count || result)
			CLAIM(segments[i].last == found[spot].reach, "only the last byte asked for is before an entry's end");
	}

	/* Where it stopped, and why. */
	CLAIM((result == 0) == (reach.bytes == length), "all of it, or an error");
	if (result && count == room) {
		CLAIM(result == -ENOBUFS, "ENOBUFS: no room for a segment");
	} else if (result && stop == TWO_TO_64) {
		CLAIM(result == -EFAULT, "EFAULT: there is no such address");
	} else if (result) {
		if (count)
			spot = spot_behind(spot, (uint64_t)stop);
		CLAIM(is_next[spot] || asked[spot] == stop, "the byte where it stopped was searched for");
		if (!is_there[spot] || found[spot].start > stop)
			CLAIM(result == -EFAULT, "EFAULT: no entry holds it");
		else
			CLAIM(result == -EPERM && found[spot].item & denied, "EPERM: its entry does not permit the access");
	}

	WITNESS(result == 0 && count == STEPS && stop == TWO_TO_64, "up to the last address, in two segments");
	WITNESS(result == -EFAULT && stop == TWO_TO_64, "it stops behind the last address");
	WITNESS(result == -EFAULT && count && stop < TWO_TO_64, "EFAULT within");
	WITNESS(result == -EPERM && count, "EPERM");
	WITNESS(result == -ENOBUFS && count, "ENOBUFS");
	WITNESS(count == STEPS && spots == SPOTS, "the next entry does not reach so far");
}
