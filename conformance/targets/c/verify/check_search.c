/* SPDX-License-Identifier: Apache-2.0 */
/* Searches, against their definition entry by entry. Whatever the hints say, and for all addresses. */
#include "verify.h"

#include "search.c"

#include "any_index.h"

#ifndef ENTRIES
#define ENTRIES 8
#endif

void *memory_take(const struct memory *memory, size_t size);
void memory_give(const struct memory *memory, void *block, size_t size);

static struct entry entries[ENTRIES];
static uint16_t hints[SLOTS]; /* also read as bytes */

/* A run without hints: nothing is assumed but that the reach never falls. */
void search(void)
{
	struct run run = {.entries = entries, .count = any_below(ENTRIES + 1)};
	uint64_t address = nondet_u64();
	size_t other = any_below(ENTRIES);
	size_t found, i;

	for (i = 0; i < ENTRIES; i++) {
		entries[i].reach = nondet_u64();
		ASSUME(!i || entries[i - 1].reach <= entries[i].reach);
	}
	found = run_search(run.entries, run.count, address);
	CLAIM(found <= run.count, "a position, or behind the last");
	if (found < run.count)
		CLAIM(entries[found].reach >= address, "it reaches the address");
	if (other < found)
		CLAIM(entries[other].reach < address, "and none before it does");
	WITNESS(found == ENTRIES, "none of all");
	WITNESS(found == ENTRIES - 1, "the last");
	WITNESS(found == 0 && run.count == ENTRIES, "the first");
}

/* A run with hints, whatever they say: its ranges are apart. */
void guess(void)
{
	struct run run = {
		.entries = entries,
		.hints = hints,
		.count = any_below(ENTRIES + 1),
		.slots = any_below(SLOTS + 1),
		.base = nondet_u64(),
		.shift = (unsigned int)any_below(64),
		.wide = nondet_bool(),
		.dense = nondet_bool(),
	};
	uint64_t address = nondet_u64();
	size_t other = any_below(ENTRIES);
	const struct entry *found;
	size_t i;

	for (i = 0; i < SLOTS; i++)
		hints[i] = nondet_u16();
	for (i = 0; i < ENTRIES; i++) {
		entries[i] = (struct entry){.start = nondet_u64(), .reach = nondet_u64()};
		ASSUME(entries[i].start <= entries[i].reach);
		ASSUME(!i || entries[i - 1].reach < entries[i].start);
	}
	found = run_guess(&run, address);
	if (found) {
		CLAIM(found >= entries && found < entries + run.count, "an entry of the run");
		CLAIM(found->start <= address && address <= found->reach, "that holds the address");
		if (&entries[other] < found)
			CLAIM(entries[other].reach < address, "and none before it reaches it");
	}
	WITNESS(found == &entries[ENTRIES - 1] && run.dense && !run.wide, "a hint that is right");
	WITNESS(found && found != &entries[hints[0]] && run.wide && run.slots == 1, "one that is nearly right");
	WITNESS(!found && run.wide && hints[0] == 0xffff && address == run.base && run.slots, "one that is wrong");
	WITNESS(!found && run.count == 0 && run.slots, "an empty run with hints");
}

/* Both levels: the first entry of all that reaches an address; where one holds it, the first that does. Hints may have
 * led to any place before. */
void leftmost(void)
{
	struct index index = any_index();
	uint64_t address = nondet_u64();
	size_t other = any_below(MOST);
	const struct entry *guessed = nondet_bool() && index.count ? &places[any_below(index.count)] : NULL;
	struct spot spot = index_search(&index, guessed, address);
	size_t i, first = count_listed;

	for (i = MOST; i-- > 0;)
		if (i < count_listed && last[i] >= address)
			first = i;
	if (first == count_listed) {
		CLAIM(spot.place == index.count, "nothing reaches the address");
	} else {
		const struct entry *entry = index_entry(&index, spot);

		CLAIM(entry && spot.at < places[spot.place].count, "there is one");
		CLAIM(entry->start == listed[first].start && entry->item == listed[first].item, "the first that reaches it");
		CLAIM(entry->reach == last[first], "its reach is its own last byte");
	}
	if (other < count_listed && listed[other].start <= address && address <= last[other])
		CLAIM(first <= other && listed[first].start <= address, "if any entry holds the address, this one does");
	WITNESS(guessed == places && spot.place == 1, "hints have led to the wrong place");
	WITNESS(index.overlaps && first > 0 && first < count_listed && listed[first].start <= last[first - 1],
		"it overlaps the one before");
	WITNESS(index.count == PLACES && address > listed[0].start && first < count_listed && listed[first].start > address,
		"a hole");
}

/* An entry by its number in the list; NULL behind the last. */
static const struct entry *numbered(const struct index *index, size_t number)
{
	size_t i;

	for (i = 0; i < PLACES && i < index->count; i++) {
		if (number < places[i].count)
			return &storages[i].entries[number];
		number -= places[i].count;
	}
	return NULL;
}

/* All of a search, against a walk from entry to entry: hints of places, hints of a block, and what is searched where they do
 * not lead to an entry. */
void at(void)
{
	struct index index = any_index();
	uint64_t address = nondet_u64();
	struct spot spot = index_seek(&index, address);
	const struct entry *found = index_at(&index, address);
	const struct entry *place;
	size_t i, first = count_listed, holder = count_listed;
	bool guessed;

	for (i = MOST; i-- > 0;) {
		if (i < count_listed && last[i] >= address)
			first = i;
		if (i < count_listed && listed[i].start <= address && address <= last[i])
			holder = i;
	}
	CLAIM(spot.place <= index.count, "a place, or behind the last");
	CLAIM(index_entry(&index, spot) == numbered(&index, first), "the first entry that reaches the address, or none does");
	CLAIM(found == numbered(&index, holder), "the first entry that holds the address, or none does");
	if (spot.place < index.count)
		CLAIM(index_entry(&index, index_next(&index, spot)) == numbered(&index, first + 1), "the next comes after it");
	guessed = index_guess(&index, address, &place);
	WITNESS(guessed && holder == MOST - 1 && index.dense, "hints of places and of a block that are right");
	WITNESS(found && index.count == PLACES && place == &places[0] && holder == MOST - 1, "of places, wrong");
	WITNESS(found && !guessed && index.count == PLACES && place == &places[spot.place] && place->slots, "of a block, wrong");
	WITNESS(found && !place && index.slots && holder == 2, "of places, none");
	WITNESS(found && index.overlaps && index.slots && holder && last[holder - 1] >= listed[holder].start, "it overlaps");
	WITNESS(!found && index.count == PLACES && first == 2 && index.slots && places[1].slots, "a hole");
	WITNESS(!found && first == count_listed && count_listed == MOST && index.slots, "behind all");
}

/* The first entry that starts at an address or behind it. */
void from(void)
{
	struct index index = any_index();
	uint64_t start = nondet_u64();
	struct spot spot = index_from(&index, start);
	size_t i, before = 0, first = count_listed;

	for (i = MOST; i-- > 0;)
		if (i < count_listed && listed[i].start >= start)
			first = i;
	for (i = 0; i < PLACES; i++)
		if (i < spot.place && i < index.count)
			before += places[i].count;
	CLAIM(spot.place <= index.count, "a place, or behind the last");
	CLAIM(spot.place == index.count ? spot.at == 0 : spot.at < places[spot.place].count, "an entry of it");
	CLAIM(before + spot.at == first, "the first that does not start before");
	WITNESS(index.count == PLACES && first > 1 && first < count_listed && index.overlaps, "among overlapping ones");
	WITNESS(index.count == PLACES && first == count_listed, "none");
}
