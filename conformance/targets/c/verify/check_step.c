/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A translation's step from entry to entry, over places and blocks. The search is replaced by what it promises, which
 * check_search.c shows.
 */
#include "verify.h"

#define index_seek library_index_seek
#include "index.h"
#undef index_seek

#define NO_HINTS
#include "any_index.h"

/* The number in the list of the first entry that reaches an address; count_listed if there is none. */
static size_t first_reaching(uint64_t address)
{
	size_t n;

	for (n = 0; n < MOST && n < count_listed; n++)
		if (last[n] >= address)
			return n;
	return count_listed;
}

/* The spot of an entry of the list. */
static struct spot spot_of(const struct index *index, size_t number)
{
	size_t i;

	for (i = 0; i < PLACES && i < index->count; i++) {
		if (number < places[i].count)
			return (struct spot){i, number};
		number -= places[i].count;
	}
	return (struct spot){index->count, 0};
}

static struct spot index_seek(const struct index *index, uint64_t address)
{
	return spot_of(index, first_reaching(address));
}

#include "translate.c"

/* From the first entry that reaches some byte to the first that reaches the byte after its last. */
void stepped(void)
{
	struct index index = any_index();
	size_t from = first_reaching(nondet_u64());
	struct spot at = spot_of(&index, from);
	struct step step;
	size_t to;

	ASSUME(from < count_listed && last[from] < UINT64_MAX);
	step = (struct step){at.place, &storages[at.place].entries[at.at], &storages[at.place].entries[places[at.place].count - 1]};
	to = first_reaching(last[from] + 1);
	at = spot_of(&index, to);
	if (!step_on(&index, last[from] + 1, &step)) {
		CLAIM(to == count_listed, "no entry reaches the byte");
	} else {
		CLAIM(to < count_listed, "an entry reaches the byte");
		CLAIM(step.place == at.place && step.entry == &storages[at.place].entries[at.at], "it is the first that does");
		CLAIM(step.entry->reach == last[to], "its reach is its own last byte");
		CLAIM(step.last == &storages[at.place].entries[places[at.place].count - 1], "and the last entry of its place");
	}
	WITNESS(index.count == PLACES && to == from + 1 && at.at == 0, "into the next block");
	WITNESS(to == from + 3 && to < count_listed, "over entries that end before the byte");
	WITNESS(to == count_listed && from + 1 < count_listed, "those behind do not reach it");
}
