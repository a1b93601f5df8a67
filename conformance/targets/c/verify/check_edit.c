/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits, as a list sees them, at each spot of an index of some shape, for all addresses; and the other index, which follows or
 * to which all is taken back. Memory and search are replaced by what they promise; without HINTED there are no hints.
 */
#include "verify.h"

#include <string.h>

/* Copies of entries are made entry by entry: as bytes they are beyond the solver. */
struct entry;
static void copy_entries(struct entry *to, const struct entry *from, size_t size);
#define memcpy(to, from, size) copy_entries((void *)(to), (const void *)(from), (size))
#define memmove(to, from, size) copy_entries((void *)(to), (const void *)(from), (size))

#include "edit.c"
#include "follow.c"
#include "places.c"

#undef memcpy
#undef memmove

#ifndef COUNTS
#define COUNTS 2, 2
#endif
#ifndef LARGEST
#define LARGEST 3
#endif
#ifndef FRESH /* which blocks are fresh, as bits */
#define FRESH 0
#endif
#ifndef HINTED /* hints of each block */
#define HINTED 0
#endif
#ifndef ROOM
#define ROOM 4
#endif
#ifndef LEAST /* blocks that there is memory for */
#define LEAST 0
#endif
#ifndef ENOUGH
#define ENOUGH 2
#endif
#define TAKES 2

static const size_t counts[] = {COUNTS};
#define PLACES (sizeof(counts) / sizeof(counts[0]))
#define MOST (PLACES * ROOM)
#define COPIED (PLACES + 1 > ROOM ? PLACES + 1 : ROOM)

struct storage {
	struct block *next;
	void *memory;
	uint32_t room;
	bool fresh;
	struct entry entries[ROOM];
	uint8_t hints[ROOM * HINTS_PER_ENTRY + HINTS_AT_ONCE];
};

_Static_assert(offsetof(struct storage, entries) == offsetof(struct block, entries), "the storage of a block");

static struct storage published[PLACES], was_published[PLACES], taken[TAKES];
static size_t gone[PLACES + TAKES]; /* how often a block was retired or given back */
static size_t takes, memory_for;
static struct entry places[PLACES + 1], others[PLACES + 1];
static struct index edited, other;
static struct pool pool;
static struct spot where;

/* The list. An entry's item is its number. */
struct range {
	uint64_t start, last, delta;
	size_t item;
};
static struct range list[MOST + 1];
static struct item items[MOST + 1];
static size_t count_list;

static void copy_entries(struct entry *to, const struct entry *from, size_t size)
{
	size_t count = size / sizeof(*to), i;

	if (__CPROVER_POINTER_OFFSET(to) == offsetof(struct storage, hints) && !__CPROVER_same_object(to, places) &&
	    !__CPROVER_same_object(to, others)) {
		CLAIM(size <= ROOM * HINTS_PER_ENTRY, "hints: whatever they say, there is room for them");
		return;
	}
	CLAIM(size % sizeof(*to) == 0 && count <= COPIED, "whole entries");
	if (__CPROVER_same_object(to, from) && __CPROVER_POINTER_OFFSET(to) > __CPROVER_POINTER_OFFSET(from)) {
		for (i = COPIED; i-- > 0;)
			if (i < count)
				to[i] = from[i];
	} else {
		for (i = 0; i < COPIED; i++)
			if (i < count)
				to[i] = from[i];
	}
}

const struct item *item_of(const struct entry *entry)
{
	return &items[entry->item];
}

struct spot place_for(const struct index *in, const struct entry *new)
{
	(void)in;
	(void)new;
	return where;
}

struct block *pool_take(struct pool *of, size_t need, bool to_remove)
{
	(void)of;
	(void)to_remove;
	CLAIM(need <= ROOM, "no more room than a block may have");
	if (takes == memory_for)
		return NULL;
	taken[takes].room = ROOM;
	taken[takes].fresh = true;
	return (struct block *)&taken[takes++];
}

static void note_gone(const struct block *block)
{
	size_t i;

	for (i = 0; i < PLACES; i++)
		gone[i] += block == (struct block *)&published[i];
	for (i = 0; i < TAKES; i++)
		gone[PLACES + i] += block == (struct block *)&taken[i];
}

void retire(struct pool *of, struct block *block)
{
	(void)of;
	note_gone(block);
}

void pool_give(struct pool *of, struct block *block)
{
	(void)of;
	CLAIM(block->fresh, "no reader has it");
	note_gone(block);
}

void hint_inserted(struct entry *place, size_t at)
{
	CLAIM(at < place->count, "of an entry that is there");
	if (nondet_bool())
		place->slots = 0;
}

void hint_removed(struct entry *place, uint64_t reach)
{
	(void)reach;
	if (nondet_bool())
		place->slots = 0;
}

size_t fill_hints(const struct run *run, void *hints, size_t from, size_t to);
void move_hints(const struct run *run, void *hints, uint64_t address, bool up)
{
	(void)run;
	(void)hints;
	(void)address;
	(void)up;
}
bool hint_block(struct entry *place, size_t *cut);
void make_directory(struct index *in);
void block_free(struct pool *of, struct block *block);
size_t largest_room(const struct pool *of);
int pool_keep_spare(struct pool *of);
void *memory_take(const struct memory *memory, size_t size);
void memory_give(const struct memory *memory, void *block, size_t size);

/* In order of start; of one start, in order of rank. */
static bool in_order(const struct range *a, const struct range *b)
{
	return a->start < b->start || (a->start == b->start && items[a->item].rank <= items[b->item].rank);
}

static struct range any_range(size_t item)
{
	struct range range = {nondet_u64(), nondet_u64(), nondet_u64(), item};

	ASSUME(range.start <= range.last);
	items[item] = (struct item){nondet_u64(), range.last - range.start};
	return range;
}

/* Any index of the shape, and the other one: where nothing has changed since it followed, it is the same. */
static void any_shape(void)
{
	uint64_t reach = 0, before = 0;
	size_t i, j;

	pool.largest = LARGEST;
	edited = (struct index){.places = places, .count = PLACES, .room = PLACES + 1};
	for (i = 0; i < PLACES; i++) {
		uint64_t own = 0;

		published[i].room = ROOM;
		published[i].fresh = FRESH >> i & 1;
		for (j = 0; j < counts[i]; j++) {
			struct range range = any_range(count_list);

			ASSUME(count_list == 0 || in_order(&list[count_list - 1], &range));
			own = own < range.last ? range.last : own;
			published[i].entries[j] = (struct entry){range.start, own, {range.delta}, {count_list}};
			list[count_list++] = range;
		}
		was_published[i] = published[i];
		places[i] = (struct entry){.start = HINTED ? nondet_u64() : published[i].entries[0].start};
		ASSUME(places[i].start >= before);
		before = list[count_list - 1].start;
		places[i].block = (struct block *)&published[i];
		places[i].count = (uint16_t)counts[i];
		places[i].room = ROOM;
		places[i].slots = HINTED;
		places[i].overlaps = i && published[i].entries[0].start <= reach;
		edited.overlaps += places[i].overlaps;
		reach = reach < own ? own : reach;
		places[i].reach = reach;
	}
	pool.held = edited.entries = count_list;
	other = edited;
	other.places = others;
	edited.changed = FRESH;
	edited.same_front = FRESH ? any_below(PLACES + 1) : 0;
	edited.same_back = FRESH ? any_below(PLACES + 1) : 0;
	for (i = 0; i < PLACES; i++) {
		others[i] = places[i];
		if (FRESH >> i & 1)
			ASSUME(edited.same_front <= i && i < PLACES - edited.same_back);
		if (FRESH && edited.same_front <= i && i < PLACES - edited.same_back)
			others[i].reach = nondet_u64();
	}
}

/* The index is the list; blocks that it no longer has were given back once, and no others; what readers have is as it was. */
static void check_index(void)
{
	size_t i, j, n = 0, overlaps = 0;
	size_t used[PLACES + TAKES] = {0};
	uint64_t reach = 0, before = 0;

	CLAIM(edited.entries == count_list && pool.held == count_list, "entries are counted");
	for (i = 0; i < PLACES + 1; i++) {
		const struct entry *place = &places[i];
		uint64_t own = 0;

		if (i >= edited.count)
			break;
		CLAIM(0 < place->count && place->count <= place->room && place->room == ROOM, "no place is empty, or too full");
		for (j = 0; j < PLACES; j++)
			used[j] += place->block == (struct block *)&published[j];
		for (j = 0; j < TAKES; j++)
			used[PLACES + j] += place->block == (struct block *)&taken[j];
		CLAIM(place->start >= before, "a place starts behind all entries of the one before");
		CLAIM(place->slots || place->start == place->block->entries[0].start, "or, without hints, where its block does");
		CLAIM(place->overlaps == (i && place->block->entries[0].start <= reach), "it says whether it is reached into");
		overlaps += place->overlaps;
		for (j = 0; j < ROOM; j++) {
			const struct entry *entry = &place->block->entries[j];

			if (j >= place->count)
				break;
			CLAIM(n < count_list, "there is nothing that is not in the list");
			own = own < list[n].last ? list[n].last : own;
			CLAIM(entry->item == list[n].item && entry->start == list[n].start && entry->delta == list[n].delta,
			      "the entries are those of the list, in its order");
			CLAIM(entry->reach == own, "the reach is the largest last byte in the block so far");
			n++;
		}
		before = list[n - 1].start;
		reach = reach < own ? own : reach;
		CLAIM(place->reach == reach, "of a place, in all blocks so far");
	}
	CLAIM(n == count_list, "nothing is lost");
	CLAIM(edited.overlaps == overlaps, "overlaps are counted");
	for (i = 0; i < PLACES; i++)
		CLAIM(used[i] + gone[i] == 1, "a block is in use, or was retired once");
	for (i = 0; i < TAKES; i++)
		CLAIM(used[PLACES + i] + gone[PLACES + i] == (i < takes), "so is a block that was taken");
	i = any_below(PLACES);
	j = any_below(ROOM);
	if (!(FRESH >> i & 1) && j < counts[i])
		CLAIM(published[i].entries[j].start == was_published[i].entries[j].start &&
			      published[i].entries[j].reach == was_published[i].entries[j].reach &&
			      published[i].entries[j].item == was_published[i].entries[j].item &&
			      published[i].entries[j].delta == was_published[i].entries[j].delta,
		      "what readers have is not touched");
}

/* Both indexes have the same places. */
static void check_same(void)
{
	size_t i;

	CLAIM(edited.count == other.count && edited.entries == other.entries && edited.overlaps == other.overlaps, "as many");
	for (i = 0; i < PLACES + 1; i++)
		if (i < edited.count)
			CLAIM(places[i].start == others[i].start && places[i].reach == others[i].reach &&
				      places[i].block == others[i].block && places[i].count == others[i].count &&
				      places[i].room == others[i].room && places[i].slots == others[i].slots &&
				      places[i].overlaps == others[i].overlaps,
			      "both indexes have the same places");
}

/* What comes after an edit. */
static void finish(void)
{
#if defined(FOLLOW)
	index_follow(&pool, &other, &edited);
	CLAIM(!edited.changed, "nothing is left to follow");
	check_same();
#elif defined(REVERT)
	size_t i;

	index_revert(&pool, &edited, &other);
	CLAIM(!edited.changed && pool.held == other.entries, "nothing has changed");
	check_same();
	for (i = 0; i < TAKES; i++)
		CLAIM(gone[PLACES + i] == (i < takes), "all that was taken is given back, once");
#else
	check_index();
#endif
}

static void insert_at(size_t place, size_t at, size_t number, size_t memory)
{
	struct range new = any_range(MOST);
	size_t i;
	int result;

	memory_for = memory;
	any_shape();
	where = (struct spot){place, at};
	ASSUME(!number || in_order(&list[number - 1], &new));
	ASSUME(number == count_list || (in_order(&new, &list[number]) &&
	       (new.start < list[number].start || items[MOST].rank < items[list[number].item].rank)));
	result = index_insert(&pool, &edited, &other, (struct entry){new.start, new.last, {new.delta}, {MOST}});
	CLAIM(result == 0 || (result == -ENOMEM && takes == memory), "it fails only for want of memory");
	if (!result) {
		for (i = count_list; i > number; i--)
			list[i] = list[i - 1];
		list[number] = new;
		count_list++;
	}
#ifdef SHORT
	WITNESS(result && takes, "memory was for a split, and no more");
#else
	WITNESS(!result && place == 0 && at == 0 && places[0].reach == new.last && edited.overlaps, "the first, over others");
	WITNESS(!result && place + 1 == PLACES && at == counts[place] && places[edited.count - 1].reach > new.last, "the last, within");
	WITNESS(!result && at == 1 && new.start == list[number - 1].start, "two with one start");
#endif
	finish();
}

/* At each spot that the search may give: the end of a block only in the last. */
void inserted(void)
{
	size_t place, at, number = 0, memory;

	for (place = 0; place < PLACES; place++)
		for (at = 0; at < counts[place] + (place + 1 == PLACES); at++, number++)
			for (memory = LEAST; memory <= ENOUGH; memory++)
				if (nondet_bool()) {
					insert_at(place, at, number, memory);
					return;
				}
}

static void remove_at(size_t place, size_t at, size_t number, size_t memory)
{
	struct spot spot = {place, at};
	size_t i, was;
	int result;

	memory_for = memory;
	any_shape();
	result = index_open(&pool, &edited, spot);
	CLAIM(result == 0 || (result == -ENOMEM && takes == memory), "it fails only for want of memory");
	if (!result) {
		was = takes;
		index_remove(&pool, &edited, spot);
		CLAIM(takes <= was + 1, "to join, a block is taken at most");
		for (i = number; i + 1 < count_list; i++)
			list[i] = list[i + 1];
		count_list--;
	}
	WITNESS(!result && edited.count < PLACES && memory, "a place has gone");
	WITNESS(!result && edited.count == PLACES, "places stay");
	WITNESS(!result && place == 0 && others[PLACES - 1].reach > places[edited.count - 1].reach, "all places reached that far by it");
	finish();
}

void removed(void)
{
	size_t place, at, number = 0, memory;

	for (place = 0; place < PLACES; place++)
		for (at = 0; at < counts[place]; at++, number++)
			for (memory = LEAST; memory <= ENOUGH; memory++)
				if (nondet_bool()) {
					remove_at(place, at, number, memory);
					return;
				}
}

static void split_at(size_t place, size_t cut)
{
	int result;

	memory_for = 1;
	any_shape();
	result = split(&pool, &edited, place, cut);
	CLAIM(result == 0 && edited.count == PLACES + 1 && places[place].count == cut, "it is cut there");
	WITNESS(places[place + 1].overlaps, "it reaches into what is cut off");
	WITNESS(places[place + 1].reach > list[count_list - 1].last, "what is cut off does not reach as far as what stays");
	finish();
}

void cut(void)
{
	size_t place, at;

	for (place = 0; place < PLACES; place++)
		for (at = 1; at < counts[place]; at++)
			if (nondet_bool()) {
				split_at(place, at);
				return;
			}
}
