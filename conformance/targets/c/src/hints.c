/* SPDX-License-Identifier: Apache-2.0 */
/* Hints: made, and mended where an entry came or went. */
#include <string.h>

#include "parts.h"

#define FEW_HINTS 2 /* with less than one in so many of those that there may be, they are made anew */
#define SMALLEST_CLUSTER 4
#define FEW_PLACES 16 /* are searched faster than guessed twice */
#define CROWD 4 /* if more than 1 in so many entries have no hint, hints do not help */

static unsigned int bit_length(uint64_t number)
{
	unsigned int length = 0, step;

	for (step = 32; step; step /= 2) {
		if (number >> step) {
			number >>= step;
			length += step;
		}
	}
	return length + (unsigned int)number;
}

/* The smallest shift with which addresses 0 .. span need at most `most` (2 or more) slots. */
static unsigned int shift_for(uint64_t span, size_t most)
{
	unsigned int shift = 0;

	if (bit_length(span) > bit_length(most))
		shift = bit_length(span) - bit_length(most);
	return span >> shift < most ? shift : shift + 1;
}

/* The first slot that begins behind the address; `slots` if none does. */
static size_t slot_behind(const struct run *run, uint64_t address)
{
	if (address < run->base)
		return 0;
	if ((address - run->base) >> run->shift >= run->slots)
		return run->slots;
	return (size_t)((address - run->base) >> run->shift) + 1;
}

static void *hints_of(const struct entry *place)
{
	return place->block->entries + place->room;
}

/* Make the hints that name entries from .. to. They are written eight bytes at a time, and so past the end of the last: what is
 * behind that is put back. Returns how many of these entries no hint names. */
size_t fill_hints(const struct run *run, void *hints, size_t from, size_t to)
{
	size_t slot = from ? slot_behind(run, run->entries[from - 1].reach) : 0;
	size_t last = slot_behind(run, run->entries[to].reach);
	unsigned int width = run->wide ? 2 : 1;
	uint64_t ones = run->wide ? UINT64_C(0x0001000100010001) : UINT64_C(0x0101010101010101);
	size_t unnamed = 0;
	uint64_t behind;

	memcpy(&behind, (char *)hints + last * width, sizeof(behind));
	for (; from <= to; from++) {
		size_t end = slot_behind(run, run->entries[from].reach);
		uint64_t names = (uint64_t)from * ones;

		unnamed += slot >= end;
		for (; slot < end; slot += HINTS_AT_ONCE / width)
			memcpy((char *)hints + slot * width, &names, sizeof(names));
		slot = end;
	}
	memcpy((char *)hints + last * width, &behind, sizeof(behind));
	return unnamed;
}

/* The widest gap between two of the entries first .. last, before the entry that is returned, with at least so many on each
 * side. 0: there is none that takes half of their addresses. */
static size_t widest_gap(const struct entry *entries, size_t first, size_t last, size_t aside)
{
	uint64_t widest = (entries[last].reach - entries[first].start) / 2;
	size_t at, cut = 0;

	for (at = first + aside; at + aside <= last + 1; at++) {
		if (entries[at].start > entries[at - 1].reach && entries[at].start - entries[at - 1].reach > widest) {
			widest = entries[at].start - entries[at - 1].reach;
			cut = at;
		}
	}
	return cut;
}

/* Give entries first .. last of a block hints, and tell whether they are of no use: because too many have none. */
static bool hint_part(struct entry *place, size_t first, size_t last)
{
	const struct entry *entries = place->block->entries;
	uint64_t span = entries[last].reach - entries[first].start;
	struct run run;

	place->start = entries[first].start;
	place->wide = place->room > NARROW;
	place->shift = (uint8_t)shift_for(span, (size_t)place->count * HINTS_PER_ENTRY);
	place->slots = (uint16_t)((span >> place->shift) + 1);
	run = entries_of(place);
	return fill_hints(&run, hints_of(place), first, last) > (last - first + 1) / CROWD;
}

static bool has_overlap(const struct entry *place)
{
	const struct entry *entries = place->block->entries;
	size_t at;

	for (at = 1; at < place->count; at++)
		if (entries[at].start <= entries[at - 1].reach)
			return true;
	return false;
}

/* Give a block hints. Where entries lie close together and far from others, the few that are apart get none; if that
 * were most, none at all. False: those apart are many, and should have a block of their own. `cut` is its first entry;
 * hints for both are of no use to either, and dropped. */
bool hint_block(struct entry *place, size_t *cut)
{
	const struct entry *entries = place->block->entries;
	size_t first = 0, last = place->count - 1u;

	if (has_overlap(place))
		return true;
	while (hint_part(place, first, last)) {
		*cut = widest_gap(entries, first, last, SMALLEST_CLUSTER);
		if (*cut) {
			place->slots = 0;
			return false;
		}
		*cut = widest_gap(entries, first, last, 1);
		if (!*cut)
			return true;
		if (*cut - first > last - *cut)
			last = *cut - 1;
		else
			first = *cut;
		if (last - first < place->count / 2u) {
			place->slots = 0;
			return true;
		}
	}
	return true;
}

/* Make all hints of the places. */
void make_directory(struct index *index)
{
	uint64_t span = index->places[index->count - 1].reach - index->places[0].start;
	struct run run;
	size_t unnamed;

	index->moved = 0;
	index->new_hints = true;
	index->slots = 0;
	if (index->count > UINT16_MAX) /* more than hints can name */
		return;
	index->base = index->places[0].start;
	index->shift = shift_for(span, index->count * HINTS_PER_PLACE);
	index->slots = (size_t)(span >> index->shift) + 1;
	run = places_of(index);
	run.slots = index->slots;
	unnamed = fill_hints(&run, index->hints, 0, index->count - 1);
	index->dense = unnamed > index->count / CROWD;
	if (index->dense && (index->count <= FEW_PLACES || unnamed > index->count - index->count / CROWD))
		index->slots = 0;
}

/* Entries behind the address have moved up (or down) by one: so do their names, eight bytes at a time. */
void move_hints(const struct run *run, void *hints, uint64_t address, bool up)
{
	unsigned int width = run->wide ? 2 : 1;
	uint64_t ones = run->wide ? UINT64_C(0x0001000100010001) : UINT64_C(0x0101010101010101);
	size_t slot = slot_behind(run, address);

	for (; slot < run->slots; slot += HINTS_AT_ONCE / width) {
		char *at = (char *)hints + slot * width;
		uint64_t names;

		memcpy(&names, at, sizeof(names));
		names = up ? names + ones : names - ones;
		memcpy(at, &names, sizeof(names));
	}
}

/* An entry was inserted into a block: mend the hints, or drop them. */
void hint_inserted(struct entry *place, size_t at)
{
	const struct entry *entries = place->block->entries;
	uint64_t slot = (entries[at].reach - place->start) >> place->shift;
	size_t from = at;
	struct run run;

	if (entries[at].start < place->start || slot >= (size_t)place->room * HINTS_PER_ENTRY ||
	    place->slots * (size_t)FEW_HINTS < place->count * (size_t)HINTS_PER_ENTRY ||
	    (at && entries[at].start <= entries[at - 1].reach) ||
	    (at + 1u < place->count && entries[at + 1].start <= entries[at].reach)) {
		place->slots = 0;
		return;
	}
	run = entries_of(place);
	if (slot >= run.slots)
		run.slots = (size_t)slot + 1;
	/* Some before it may have been left without hints, too. */
	while (from && slot_behind(&run, entries[from - 1].reach) > place->slots)
		from--;
	place->slots = (uint16_t)run.slots;
	move_hints(&run, hints_of(place), entries[at].reach, true);
	fill_hints(&run, hints_of(place), from, at);
}

/* The entry that reached `reach` was removed from a block: mend the hints, or drop them if it was the last that had one. */
void hint_removed(struct entry *place, uint64_t reach)
{
	struct run run = entries_of(place);

	if (run.entries[run.count - 1].reach < run.base)
		place->slots = 0;
	else if (place->slots)
		move_hints(&run, hints_of(place), reach, false);
}
