/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index: ranges in order, found by address. Everything that is searched in this library is searched here.
 *
 *     index ── places ──┬── block ── entries            a place stands for one block,
 *               hints   ├── block ── entries, hints     an entry for one range
 *                       └── ...
 *
 * A *run* is an array of entries in order of `start`. `reach` is the largest last byte up to and with that entry of the run:
 * it never falls, so the first entry with reach >= x is found by searching, and it is the leftmost range that holds x, or no
 * range does; whether ranges overlap or not.
 *
 * Places are a run, too. The start of a place is the start of its block's first entry, or an address near it: no entry of an
 * earlier place starts behind it. Its reach is the largest last byte of all blocks up to its own. (Within a block `reach` knows of
 * this block alone: who looks there looks for an address that the blocks before do not reach.)
 *
 * *Hints* make the search short where the ranges of a run do not overlap: they cut its addresses into slots of 2^shift, and
 * name for each the first entry that reaches the slot's first address. Nothing depends on what they say: it is clamped,
 * and the entry must hold the address. If it does not, the whole run is searched.
 *
 * There are always two indexes of the same ranges, one that readers read and one that the writer edits (gate.h). They share
 * blocks. A block that both have, or had, is never written: the writer takes a *fresh* copy, edits that as often as it
 * likes, and retires the other, which is freed when no reader can be in it. What was edited lies between the first
 * `same_front` and the last `same_back` places, and not in the gap.
 */
#ifndef GPAMAP_INDEX_H
#define GPAMAP_INDEX_H

#include <errno.h>
#include <stdbool.h>

#include "memory.h"
#include "gpamap.h"

struct block;

/* What an entry stands for begins with this. Entries with one start are in the order of `rank`. */
struct item {
	uint64_t rank;
	uint64_t span; /* last byte - first byte */
};

/* Low bits of an entry's `item`: what may not be done there. They are the bits of GPAMAP_READ and GPAMAP_WRITE. */
#define DENIES_WRITE 2
#define DENIES 3

struct entry {
	uint64_t start;
	uint64_t reach;
	union {
		uint64_t delta; /* of an entry: host address - guest address */
		struct {         /* of a place: its block's */
			uint16_t count;
			uint16_t room;
			uint16_t slots;
			uint8_t shift;
			uint8_t wide : 1;
			uint8_t overlaps : 1; /* the place before reaches into it */
		};
	};
	union {
		uintptr_t item;
		struct block *block;
		uint64_t same_size; /* whatever the processor */
	};
};

/* A hint is the number of an entry: in two bytes if `wide`, else in one. */
struct run {
	const struct entry *entries;
	const void *hints;
	size_t count;
	size_t slots;
	uint64_t base;
	unsigned int shift;
	bool wide;
	bool dense;
};

/* Entries, then hints. Readers read those only; the rest is the writer's. */
struct block {
	struct block *next;
	void *memory;
	uint32_t room;
	bool fresh;
	struct entry entries[];
};

struct index {
	struct entry *places;
	void *hints;
	size_t count; /* places */
	size_t room;
	size_t slots; /* hints; 0: none yet */
	uint64_t base;
	unsigned int shift;
	bool dense; /* many places have no hint of their own */

	struct entry *later; /* larger places, for when this index follows */
	size_t later_room;
	size_t entries;  /* in all blocks */
	size_t overlaps; /* places that the one before reaches into */
	bool changed; /* since the other followed: between the places of same_front and same_back */
	bool new_hints;
	bool shifted; /* places came or went: those behind are where the other has others, and there is no gap */
	size_t same_front;
	size_t same_back;
	size_t gap_from; /* in between: places from .. end - 1 are the same, too */
	size_t gap_end;
	size_t moved; /* places that came or went since the hints were made */
};

/* Where a search ended: an entry of a place. Past the end: place == count. */
struct spot {
	size_t place;
	size_t at;
};

/* ---- Search ---- */

/* For what is worth its bytes wherever it is called, and for what is seldom so. */
#ifdef __GNUC__
#define HOT static inline __attribute__((always_inline))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#else
#define HOT static inline
#define LIKELY(condition) (condition)
#endif

size_t run_search(const struct entry *entries, size_t count, uint64_t address);
struct spot index_search(const struct index *index, const struct entry *place, uint64_t address);

HOT bool holds(const struct entry *entry, uint64_t address)
{
	return address - entry->start <= entry->reach - entry->start;
}

/* The entry that holds the address, if its hint names it or one just before; else NULL. Nothing overlaps where there are
 * hints. Processors learn that the first guess is right. Where it often is not, the run is `dense`, and not guessing is faster. */
HOT const struct entry *run_guess(const struct run *run, uint64_t address)
{
	const struct entry *entries = run->entries;
	uint64_t slot = (address - run->base) >> run->shift;
	size_t at, next;

	if (!LIKELY(slot < run->slots))
		return NULL;
	at = run->wide ? ((const uint16_t *)run->hints)[slot] : ((const uint8_t *)run->hints)[slot];
	if (!LIKELY(at < run->count))
		return NULL;
	if (run->dense) {
		next = at + (at + 1 < run->count);
		at += (size_t)(entries[at].reach < address) + (entries[next].reach < address);
		if (!LIKELY(at < run->count))
			return NULL;
	}
	if (LIKELY(holds(&entries[at], address)))
		return &entries[at];
	return ++at < run->count && LIKELY(holds(&entries[at], address)) ? &entries[at] : NULL;
}

HOT struct run places_of(const struct index *index)
{
	return (struct run){
		.entries = index->places,
		.hints = index->hints,
		.count = index->count,
		.slots = index->overlaps ? 0 : index->slots,
		.base = index->base,
		.shift = index->shift,
		.wide = true,
		.dense = index->dense,
	};
}

HOT struct run entries_of(const struct entry *place)
{
	const struct entry *entries = place->block->entries;

	return (struct run){
		.entries = entries,
		.hints = entries + place->room,
		.count = place->count,
		.slots = place->slots,
		.base = place->start,
		.shift = place->shift,
		.wide = place->wide,
	};
}

/* The entry that holds the address, if hints lead to it; else NULL. */
HOT const struct entry *index_guess(const struct index *index, uint64_t address, const struct entry **place)
{
	struct run run;

	*place = index->places;
	if (index->count != 1) {
		run = places_of(index);
		*place = run_guess(&run, address);
		if (!*place)
			return NULL;
	}
	run = entries_of(*place);
	return run_guess(&run, address);
}

/* The first entry that reaches the address. */
HOT struct spot index_seek(const struct index *index, uint64_t address)
{
	const struct entry *place;
	const struct entry *entry = index_guess(index, address, &place);

	if (!LIKELY(entry))
		return index_search(index, place, address);
	return (struct spot){(size_t)(place - index->places), (size_t)(entry - place->block->entries)};
}

/* The spot is not past the end. */
static inline const struct entry *spot_entry(const struct index *index, struct spot spot)
{
	return &index->places[spot.place].block->entries[spot.at];
}

/* NULL past the end. */
static inline const struct entry *index_entry(const struct index *index, struct spot spot)
{
	return spot.place < index->count ? spot_entry(index, spot) : NULL;
}

/* The leftmost entry that holds the address, or NULL. */
HOT const struct entry *index_at(const struct index *index, uint64_t address)
{
	const struct entry *place;
	const struct entry *entry = index_guess(index, address, &place);

	if (LIKELY(entry))
		return entry;
	entry = index_entry(index, index_search(index, place, address));
	return entry && entry->start <= address ? entry : NULL;
}

/* Whatever the entry stands for. */
static inline void *entry_item(const struct entry *entry)
{
	return (void *)(entry->item & ~(uintptr_t)DENIES);
}

/* ---- Blocks ---- */

/* Blocks that are not in use: `free` for the next that is needed, `retired` until readers have left them. */
struct pool {
	struct memory memory;
	uint32_t largest; /* entries of a block; twice as many if it is the only one */
	size_t held;      /* entries in use (a map has two for each slot), and room in `free` */
	size_t kept;
	struct block *free; /* the one that was given back longest ago comes first */
	struct block **end; /* of `free` */
	struct block *retired;
	struct block *spare; /* of twice the largest size, for a removal that must not fail */
	bool keeps_spare;
};

void pool_init(struct pool *pool, const struct memory *memory, uint32_t largest);
void pool_drop(struct pool *pool);
int pool_keep_spare(struct pool *pool);
void pool_free_retired(struct pool *pool);
void pool_keep_retired(struct pool *pool);

/* ---- Edit: `index` is the one that nobody reads, `other` the one that is published ---- */

struct spot index_from(const struct index *index, uint64_t start);
struct spot index_find(const struct index *index, uint64_t start, uintptr_t item);
struct spot index_next(const struct index *index, struct spot spot);
int index_insert(struct pool *pool, struct index *index, struct index *other, struct entry new);
int index_open(struct pool *pool, struct index *index, struct spot spot);
void index_remove(struct pool *pool, struct index *index, struct spot spot);
void index_clear(struct pool *pool, struct index *index);
bool index_release_spare(struct pool *pool, struct index *index);

/* ---- Publish ---- */

void index_seal(struct pool *pool, struct index *index, struct index *other);
void index_follow(struct pool *pool, struct index *index, struct index *published);
void index_revert(struct pool *pool, struct index *index, const struct index *published);
void index_drop(struct pool *pool, struct index *index, bool with_blocks);

#endif
