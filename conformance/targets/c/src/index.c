/* SPDX-License-Identifier: Apache-2.0 */
/* An index is searched, edited, and made ready for readers. index.h tells what holds of it. */
#include <string.h>

#include "index.h"

#define DEFAULT_BLOCK 40
#define HINTS_PER_ENTRY 8 /* of one byte in blocks with room for at most NARROW */
#define NARROW 256
#define FEW_HINTS 4 /* with less than one in so many of these, they are made anew */
#define HINTS_PER_PLACE 8 /* of two bytes */
#define HINTS_AT_ONCE 8   /* bytes are written, so there is room for as many more */
#define ROOM_GRAIN 2u
#define SMALLEST_PLACES 4
#define KEPT 32 /* for so many entries in use there is room for one in free blocks */
#define SMALLEST_CLUSTER 4
#define CROWD 4 /* if more than 1 in so many entries have no hint, hints do not help */
#define ALIGNMENT 32u /* no entry lies across two cache lines */

_Static_assert(sizeof(struct entry) == ALIGNMENT, "an entry has no holes");

/* ---- Search ---- */

/* The position of the first entry that reaches the address; `count` if none does. No branch depends on what is compared: processors guess that wrong half of the time. */
size_t run_search(const struct run *run, uint64_t address)
{
	size_t low = 0;
	size_t left = run->count;

	while (left) {
		size_t half = (left + 1) / 2;

		low += run->entries[low + half - 1].reach < address ? half : 0;
		left -= half;
	}
	return low;
}

static size_t run_seek(const struct run *run, uint64_t address)
{
	const struct entry *entry = run_guess(run, address);

	/* The start of a place may lie before all of its entries, and after the reach of the place before. */
	if (entry && (entry == run->entries || entry[-1].reach < address))
		return (size_t)(entry - run->entries);
	return run_search(run, address);
}

/* As index_seek, where hints have not led to the entry. */
struct spot index_search(const struct index *index, uint64_t address)
{
	struct run run = places_of(index);
	struct spot spot = {run_seek(&run, address), 0};

	if (spot.place < index->count) {
		run = entries_of(&index->places[spot.place]);
		spot.at = run_search(&run, address);
	}
	return spot;
}

/* The first of the entries low .. high - 1 with start >= `start`; `high` if there is none. */
static size_t search_start(const struct entry *entries, size_t low, size_t high, uint64_t start)
{
	size_t left = high - low;

	while (left) {
		size_t half = (left + 1) / 2;

		low += entries[low + half - 1].start < start ? half : 0;
		left -= half;
	}
	return low;
}

/* The spot of the entry after this one. */
struct spot index_next(const struct index *index, struct spot spot)
{
	if (++spot.at == index->places[spot.place].count)
		spot = (struct spot){spot.place + 1, 0};
	return spot;
}

/* The first entry with start >= `start`. Whatever does not reach `start` starts before it; and where nothing overlaps, what
 * does reach it does not. */
struct spot index_from(const struct index *index, uint64_t start)
{
	struct spot spot = index_seek(index, start);
	const struct entry *entry = index_entry(index, spot);

	if (!entry || entry->start >= start)
		return spot;
	if (spot.place + 1 < index->count && index->places[spot.place + 1].start < start)
		spot.place = search_start(index->places, spot.place + 2, index->count, start) - 1;
	for (; spot.place < index->count; spot.place++) {
		const struct entry *place = &index->places[spot.place];

		spot.at = search_start(place->block->entries, 0, place->count, start);
		if (spot.at < place->count)
			return spot;
	}
	return (struct spot){index->count, 0};
}

/* The entry of this item, which is there. */
struct spot index_find(const struct index *index, uint64_t start, uintptr_t item)
{
	struct spot spot = index_from(index, start);

	while (index_entry(index, spot)->item != item)
		spot = index_next(index, spot);
	return spot;
}

static const struct item *item_of(const struct entry *entry)
{
	return entry_item(entry);
}

/* Where a new entry belongs. The index is not empty. */
static struct spot place_for(const struct index *index, const struct entry *new)
{
	struct spot spot = {index->count, 0};

	if (new->start < UINT64_MAX)
		spot = index_from(index, new->start + 1);
	for (;;) {
		struct spot before = spot;
		const struct entry *entry;

		if (!before.at) {
			if (!before.place)
				return spot;
			before.place--;
			before.at = index->places[before.place].count;
		}
		before.at--;
		entry = index_entry(index, before);
		if (entry->start < new->start || item_of(entry)->rank <= item_of(new)->rank)
			break;
		spot = before;
	}
	if (spot.place == index->count) {
		spot.place--;
		spot.at = index->places[spot.place].count;
	}
	return spot;
}

/* ---- Blocks ---- */

void pool_init(struct pool *pool, const struct memory *memory, uint32_t largest)
{
	/* A block of one could not be split. */
	*pool = (struct pool){.memory = *memory, .largest = !largest ? DEFAULT_BLOCK : largest > 1 ? largest : 2};
}

static size_t block_size(size_t room)
{
	size_t hints = room * HINTS_PER_ENTRY * (room > NARROW ? 2 : 1);

	return sizeof(struct block) + room * sizeof(struct entry) + hints + HINTS_AT_ONCE + ALIGNMENT;
}

static struct block *block_new(struct pool *pool, size_t room)
{
	char *memory = memory_take(&pool->memory, block_size(room));
	struct block *block;

	if (!memory)
		return NULL;
	block = (struct block *)(memory + (-(uintptr_t)(memory + sizeof(*block)) & (ALIGNMENT - 1)));
	block->memory = memory;
	block->room = (uint32_t)room;
	return block;
}

static void block_free(struct pool *pool, struct block *block)
{
	memory_give(&pool->memory, block->memory, block_size(block->room));
}

static size_t largest_room(const struct pool *pool)
{
	return 2 * (size_t)pool->largest;
}

/* The first block in `free` with at least this room, or with exactly this; or NULL. */
static struct block *take_free(struct pool *pool, size_t room, bool exactly)
{
	struct block **link = &pool->free;

	while (*link && ((*link)->room < room || (exactly && (*link)->room != room)))
		link = &(*link)->next;
	if (*link) {
		struct block *block = *link;

		*link = block->next;
		pool->kept -= block->room;
		return block;
	}
	return NULL;
}

/* A fresh block with room for so many entries, or NULL. A removal may have the spare one, if there is no other. */
static struct block *pool_take(struct pool *pool, size_t need, bool to_remove)
{
	size_t room = (need + ROOM_GRAIN - 1) / ROOM_GRAIN * ROOM_GRAIN;
	struct block *block = take_free(pool, room, true);

	if (!block)
		block = block_new(pool, room);
	if (!block)
		block = take_free(pool, room, false);
	if (!block && to_remove) {
		block = pool->spare;
		pool->spare = NULL;
	}
	if (block)
		block->fresh = true;
	return block;
}

/* A block that nobody reads. */
static void pool_give(struct pool *pool, struct block *block)
{
	if (pool->keeps_spare && !pool->spare && block->room == largest_room(pool)) {
		pool->spare = block;
		return;
	}
	if (pool->kept + block->room > pool->held / KEPT && (pool->spare || !pool->keeps_spare)) {
		block_free(pool, block);
		return;
	}
	pool->kept += block->room;
	block->next = pool->free;
	pool->free = block;
}

static void retire(struct pool *pool, struct block *block)
{
	if (block->fresh) {
		pool_give(pool, block);
		return;
	}
	block->next = pool->retired;
	pool->retired = block;
}

void pool_free_retired(struct pool *pool)
{
	while (pool->retired) {
		struct block *block = pool->retired;

		pool->retired = block->next;
		pool_give(pool, block);
	}
}

void pool_drop(struct pool *pool)
{
	while (pool->free) {
		struct block *block = pool->free;

		pool->free = block->next;
		block_free(pool, block);
	}
	if (pool->spare)
		block_free(pool, pool->spare);
}

/* What was retired is still in use: the edits were taken back. */
void pool_keep_retired(struct pool *pool)
{
	pool->retired = NULL;
}

/* From now on a block of the largest room is kept, so that a removal can do without the allocator. */
int pool_keep_spare(struct pool *pool)
{
	if (!pool->spare)
		pool->spare = block_new(pool, largest_room(pool));
	if (!pool->spare)
		return -ENOMEM;
	pool->keeps_spare = true;
	return 0;
}

/* ---- Hints ---- */

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

/* The smallest shift with which addresses 0 .. span need at most `most` (a positive number of) slots. */
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
	return ((address - run->base) >> run->shift) + 1;
}

static void *hints_of(const struct entry *place)
{
	return place->block->entries + place->room;
}

/* Make the hints that name entries from .. to. All but the last are written eight bytes at a time, and so past their end.
 * Returns how many of these entries no hint names. */
static size_t fill_hints(const struct run *run, void *hints, size_t from, size_t to)
{
	size_t slot = from ? slot_behind(run, run->entries[from - 1].reach) : 0;
	unsigned int width = run->wide ? 2 : 1;
	uint64_t ones = run->wide ? UINT64_C(0x0001000100010001) : UINT64_C(0x0101010101010101);
	size_t unnamed = 0;

	for (;; from++) {
		size_t end = slot_behind(run, run->entries[from].reach);
		uint64_t names = (uint64_t)from * ones;

		unnamed += slot >= end;
		if (from == to) {
			for (; slot < end; slot++)
				memcpy((char *)hints + slot * width, &names, width);
			return unnamed;
		}
		for (; slot < end; slot += HINTS_AT_ONCE / width)
			memcpy((char *)hints + slot * width, &names, sizeof(names));
		slot = end;
	}
}

/* The widest gap between two of the entries first .. last, before the entry that is returned, with at least so many on each
 * side. 0: there is none that takes a quarter of their addresses. */
static size_t widest_gap(const struct entry *entries, size_t first, size_t last, size_t aside)
{
	uint64_t widest = (entries[last].reach - entries[first].start) / 4;
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

/* Give a block hints. Where entries lie close together and far from others, the few that are apart get none. False: they
 * are many, and should have a block of their own. `cut` is its first entry. */
static bool hint_block(struct entry *place, size_t *cut)
{
	const struct entry *entries = place->block->entries;
	size_t first = 0;
	size_t last = place->count - 1u;

	if (has_overlap(place))
		return true;
	while (hint_part(place, first, last)) {
		*cut = widest_gap(entries, first, last, SMALLEST_CLUSTER);
		if (*cut)
			return false;
		*cut = widest_gap(entries, first, last, 1);
		if (!*cut)
			return true;
		if (*cut - first > last - *cut)
			last = *cut - 1;
		else
			first = *cut;
	}
	return true;
}

/* Make all hints of the places. */
static void make_directory(struct index *index)
{
	uint64_t span = index->places[index->count - 1].reach - index->places[0].start;
	struct run run;

	index->base = index->places[0].start;
	index->shift = shift_for(span, index->count * HINTS_PER_PLACE);
	index->slots = (size_t)(span >> index->shift) + 1;
	index->moved = 0;
	index->new_hints = true;
	run = places_of(index);
	run.slots = index->slots;
	index->dense = fill_hints(&run, index->hints, 0, index->count - 1) > index->count / CROWD;
}

/* Entries behind the address have moved up (or down) by one: so do their names, eight bytes at a time. */
static void move_hints(const struct run *run, void *hints, uint64_t address, bool up)
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
static void hint_inserted(struct entry *place, size_t at)
{
	const struct entry *entries = place->block->entries;
	uint64_t slot = (entries[at].reach - place->start) >> place->shift;
	size_t most = (size_t)place->room * HINTS_PER_ENTRY;
	struct run run;

	if (entries[at].start < place->start || slot >= most || place->slots * (size_t)FEW_HINTS < most ||
	    (at && entries[at].start <= entries[at - 1].reach) ||
	    (at + 1u < place->count && entries[at + 1].start <= entries[at].reach)) {
		place->slots = 0;
		return;
	}
	if (slot >= place->slots)
		place->slots = (uint16_t)(slot + 1);
	run = entries_of(place);
	move_hints(&run, hints_of(place), entries[at].reach, true);
	fill_hints(&run, hints_of(place), at, at);
}

/* The entry that reached `reach` was removed from a block. */
static void hint_removed(struct entry *place, uint64_t reach)
{
	struct run run = entries_of(place);

	if (place->slots)
		move_hints(&run, hints_of(place), reach, false);
}

/* ---- Places ---- */

static size_t places_size(size_t room)
{
	return room * (sizeof(struct entry) + HINTS_PER_PLACE * sizeof(uint16_t)) + HINTS_AT_ONCE;
}

static void free_places(struct pool *pool, struct entry *places, size_t room)
{
	if (places)
		memory_give(&pool->memory, places, places_size(room));
}

/* The larger places become those of the index. */
static void use_later(struct pool *pool, struct index *index)
{
	free_places(pool, index->places, index->room);
	index->places = index->later;
	index->room = index->later_room;
	index->hints = index->places + index->room;
	index->later = NULL;
	index->later_room = 0;
}

/* See to it that `index` has room for one more place, and `other` when it follows. */
static int make_room(struct pool *pool, struct index *index, struct index *other)
{
	size_t room = index->room + index->room / 4 + SMALLEST_PLACES;
	struct entry *places, *later;

	if (index->count < index->room)
		return 0;
	/* The other one has grown, by edits that were taken back. */
	if (index->later) {
		if (index->count)
			memcpy(index->later, index->places, index->count * sizeof(*places));
		use_later(pool, index);
		index->slots = 0;
		return 0;
	}
	places = memory_take(&pool->memory, places_size(room));
	if (!places)
		return -ENOMEM;
	later = memory_take(&pool->memory, places_size(room));
	if (!later) {
		free_places(pool, places, room);
		return -ENOMEM;
	}
	free_places(pool, other->later, other->later_room);
	other->later = later;
	other->later_room = room;
	if (index->count)
		memcpy(places, index->places, index->count * sizeof(*places));
	free_places(pool, index->places, index->room);
	index->places = places;
	index->room = room;
	index->hints = places + room;
	index->slots = 0;
	return 0;
}

/* Places from .. end - 1 are not what the other index has there. */
static void note_change(struct index *index, size_t from, size_t end)
{
	size_t back = index->count - end;

	if (!index->changed || from < index->same_front)
		index->same_front = from;
	if (!index->changed || back < index->same_back)
		index->same_back = back;
	index->changed = true;
}

static struct entry *last_entry(struct entry *place)
{
	return &place->block->entries[place->count - 1];
}

/* Does the place before reach into this one? */
static void note_overlap(struct index *index, size_t place)
{
	struct entry *at = &index->places[place];
	bool overlaps = place && at->block->entries[0].start <= at[-1].reach;

	if (overlaps == at->overlaps)
		return;
	index->overlaps += (size_t)overlaps - at->overlaps;
	at->overlaps = overlaps;
	note_change(index, place, place + 1);
}

/* The reach of places from .. to - 1 has changed: so has what comes before the one at `to`. */
static void hint_places(struct index *index, size_t from, size_t to)
{
	struct run run = places_of(index);

	run.slots = index->slots;
	if (!index->slots)
		return;
	fill_hints(&run, index->hints, from, to < index->count ? to : index->count - 1);
	index->new_hints = true;
}

/* The entries of a place have changed: make its own fields right, and the reach of those behind. */
static void settle(struct index *index, size_t place)
{
	struct entry *places = index->places;
	const uint64_t was = places[place].reach;
	uint64_t before = was;
	uint64_t reach = place ? places[place - 1].reach : 0;
	uint64_t own = last_entry(&places[place])->reach;
	size_t end = place + 1;

	if (!places[place].slots)
		places[place].start = places[place].block->entries[0].start;
	places[place].reach = reach > own ? reach : own;
	/* The next place reached further than this one did: by its own entries, which suffice. */
	if (end < index->count && places[end].reach > before && places[end].reach >= places[place].reach)
		before = places[place].reach;
	while (places[end - 1].reach != before && end < index->count) {
		own = last_entry(&places[end])->reach;
		before = places[end].reach;
		places[end].reach = places[end - 1].reach > own ? places[end - 1].reach : own;
		end++;
	}
	note_change(index, place, end);
	for (own = place; own <= end && own < index->count; own++)
		note_overlap(index, own);
	if (end > place + 1 || places[place].reach != was)
		hint_places(index, place, end);
}

/* Places behind the address have moved. */
static void move_places(struct index *index, uint64_t address, bool up)
{
	struct run run = places_of(index);

	run.slots = index->slots;
	move_hints(&run, index->hints, address, up);
	index->moved++;
	index->new_hints = true;
}

/* Put a place behind `before`, which has given part of its entries to it. */
static void insert_place(struct index *index, size_t before, struct entry new)
{
	size_t at = before + 1;

	move_places(index, index->places[before].reach, true);
	memmove(&index->places[at + 1], &index->places[at], (index->count - at) * sizeof(new));
	index->places[at] = new;
	index->count++;
	note_change(index, before, at + 1);
}

/* Take out a place; its entries are elsewhere, or gone. */
static void remove_place(struct pool *pool, struct index *index, size_t at)
{
	uint64_t reach = index->places[at].reach;

	retire(pool, index->places[at].block);
	index->overlaps -= index->places[at].overlaps;
	index->count--;
	memmove(&index->places[at], &index->places[at + 1], (index->count - at) * sizeof(*index->places));
	note_change(index, at, at);
	move_places(index, reach, false);
	if (at < index->count)
		settle(index, at);
}

/* ---- Edit ---- */

/* The entries of a place, in a fresh block with room for `need`; NULL if there is no memory. */
static struct entry *own(struct pool *pool, struct index *index, size_t place, size_t need, bool to_remove)
{
	struct entry *at = &index->places[place];
	struct block *old = at->block;
	struct block *new;

	if (old->fresh && old->room >= need)
		return old->entries;
	new = pool_take(pool, need, to_remove);
	if (!new)
		return NULL;
	memcpy(new->entries, old->entries, at->count * sizeof(*new->entries));
	if (at->wide == (new->room > NARROW) && at->slots <= new->room * HINTS_PER_ENTRY)
		memcpy(new->entries + new->room, old->entries + old->room, (size_t)at->slots << at->wide);
	else
		at->slots = 0;
	at->block = new;
	at->room = (uint16_t)new->room;
	retire(pool, old);
	note_change(index, place, place + 1);
	return new->entries;
}

static int insert_first(struct pool *pool, struct index *index, struct entry new)
{
	struct block *block = pool_take(pool, 1, false);

	if (!block)
		return -ENOMEM;
	block->entries[0] = new;
	index->places[0] = (struct entry){.start = new.start, .reach = new.reach, .count = 1, .block = block};
	index->places[0].room = (uint16_t)block->room;
	index->count = 1;
	note_change(index, 0, 1);
	return 0;
}

/* Entries from .. count - 1 whose reach is `stale` may have it from one that is gone: `reach` is that of those before. */
static void reach_anew(struct entry *entries, size_t from, size_t count, uint64_t stale, uint64_t reach)
{
	for (; from < count && entries[from].reach == stale; from++) {
		uint64_t last = entries[from].start + item_of(&entries[from])->span;

		if (reach < last)
			reach = last;
		entries[from].reach = reach;
	}
}

/* Move the entries of a place from `cut` on to a new place behind it. */
static int split(struct pool *pool, struct index *index, size_t place, size_t cut)
{
	struct entry *left = &index->places[place];
	size_t moved = left->count - cut;
	struct block *block = pool_take(pool, moved + 1, false);
	struct entry right = {.reach = left->reach, .count = (uint16_t)moved, .block = block};

	if (!block)
		return -ENOMEM;
	memcpy(block->entries, left->block->entries + cut, moved * sizeof(right));
	reach_anew(block->entries, 0, moved, left->block->entries[cut - 1].reach, 0);
	right.room = (uint16_t)block->room;
	right.start = block->entries[0].start;
	left->count = (uint16_t)cut;
	insert_place(index, place, right);
	settle(index, place);
	return 0;
}

/* Make room for an entry at a spot of a full block. One who appends is not given room where he will not need it. */
static int split_full(struct pool *pool, struct index *index, struct spot *spot)
{
	size_t count = index->places[spot->place].count;
	bool appends = spot->place == index->count - 1 && spot->at == count;
	size_t cut = appends ? count : count / 2;

	if (split(pool, index, spot->place, cut))
		return -ENOMEM;
	if (spot->at > cut || appends) {
		spot->place++;
		spot->at -= cut;
	}
	return 0;
}

/* Insert a range; new.reach is its last byte. ENOMEM: no memory, and no change. */
int index_insert(struct pool *pool, struct index *index, struct index *other, struct entry new)
{
	struct entry *place, *entries;
	struct spot spot;
	size_t at;

	if (make_room(pool, index, other))
		return -ENOMEM;
	if (!index->count) {
		if (insert_first(pool, index, new))
			return -ENOMEM;
		index->entries++;
		pool->held++;
		return 0;
	}
	spot = place_for(index, &new);
	if (index->places[spot.place].count >= pool->largest * (index->count == 1 ? 2 : 1) &&
	    split_full(pool, index, &spot))
		return -ENOMEM;
	place = &index->places[spot.place];
	entries = own(pool, index, spot.place, place->count + 1u, false);
	if (!entries)
		return -ENOMEM;
	memmove(&entries[spot.at + 1], &entries[spot.at], (place->count - spot.at) * sizeof(new));
	place->count++;
	for (at = spot.at + 1; at < place->count && entries[at].reach < new.reach; at++)
		entries[at].reach = new.reach;
	if (spot.at && new.reach < entries[spot.at - 1].reach)
		new.reach = entries[spot.at - 1].reach;
	entries[spot.at] = new;
	if (place->slots)
		hint_inserted(place, spot.at);
	settle(index, spot.place);
	index->entries++;
	pool->held++;
	return 0;
}

/* Make ready for the removal of an entry, or make a copy of its block. ENOMEM: no memory, and no change. */
int index_open(struct pool *pool, struct index *index, struct spot spot)
{
	return own(pool, index, spot.place, index->places[spot.place].count, true) ? 0 : -ENOMEM;
}

/* Whether there is more room between two places than they take: they may be clusters. */
static bool are_apart(const struct entry *left, const struct entry *right)
{
	uint64_t taken = left->reach - left->start + (right->reach - right->start);

	return right->start > left->reach && right->start - left->reach > taken;
}

/* Put the entries of the place behind into this one, if they are few and there is memory. The spare block has none but its own: what
 * they leave behind is too small to give it back. */
static void join(struct pool *pool, struct index *index, size_t place)
{
	struct entry *left = &index->places[place];
	struct entry *right = left + 1;
	uint64_t reach = last_entry(left)->reach;
	struct entry *entries;
	size_t at;

	if (pool->keeps_spare && !pool->spare)
		return;
	if (left->count + right->count > pool->largest * 3 / 4 || are_apart(left, right))
		return;
	entries = own(pool, index, place, (size_t)left->count + right->count, false);
	if (!entries)
		return;
	memcpy(entries + left->count, right->block->entries, right->count * sizeof(*entries));
	left->count = (uint16_t)(left->count + right->count);
	for (at = left->count - right->count; at < left->count && entries[at].reach < reach; at++)
		entries[at].reach = reach;
	left->reach = right->reach;
	left->slots = 0;
	remove_place(pool, index, place + 1);
	settle(index, place);
	hint_places(index, place, place + 1);
}

/* Remove an entry whose place was opened. */
void index_remove(struct pool *pool, struct index *index, struct spot spot)
{
	struct entry *place = &index->places[spot.place];
	struct entry *entries = place->block->entries;
	uint64_t removed = entries[spot.at].reach;
	uint64_t reach = spot.at ? entries[spot.at - 1].reach : 0;

	index->entries--;
	pool->held--;
	if (place->count == 1) {
		remove_place(pool, index, spot.place);
		return;
	}
	place->count--;
	memmove(&entries[spot.at], &entries[spot.at + 1], (place->count - spot.at) * sizeof(*entries));
	reach_anew(entries, spot.at, place->count, removed, reach);
	hint_removed(place, removed);
	settle(index, spot.place);
	if (spot.place + 1 < index->count)
		join(pool, index, spot.place);
	else if (spot.place)
		join(pool, index, spot.place - 1);
}

/* Take out everything. */
void index_clear(struct pool *pool, struct index *index)
{
	size_t at;

	for (at = 0; at < index->count; at++)
		retire(pool, index->places[at].block);
	index->count = 0;
	index->slots = 0;
	index->overlaps = 0;
	pool->held -= index->entries;
	index->entries = 0;
	note_change(index, 0, 0);
}

/* If a removal has put the spare block to use, exchange that for a smaller one: when the edit is published, the spare one is
 * free again. False: there was nothing to do. */
bool index_release_spare(struct pool *pool, struct index *index)
{
	size_t at;

	if (!pool->keeps_spare || !pool_keep_spare(pool))
		return false;
	for (at = 0; at < index->count; at++)
		if (index->places[at].room == largest_room(pool) && !index_open(pool, index, (struct spot){at, 0}))
			return true;
	return false;
}

/* ---- Publish ---- */

/* Make ready for readers what was edited. Clusters get blocks of their own, if there is memory. */
void index_seal(struct pool *pool, struct index *index)
{
	size_t at, cut;

	if (!index->changed)
		return;
	for (at = index->same_front; at < index->count - index->same_back; at++) {
		if (!index->places[at].block->fresh)
			continue;
		while (!index->places[at].slots && !hint_block(&index->places[at], &cut))
			if (index->count == index->room || split(pool, index, at, cut))
				break;
		index->places[at].block->fresh = false;
	}
	if (index->count > 1 && (!index->slots || index->moved > index->count / 8 + 2))
		make_directory(index);
}

/* Make what lies between the first `front` and the last `back` places of `index` what it is in `model`. */
static void copy_places(struct index *index, const struct index *model, size_t front, size_t back, bool hints)
{
	size_t end = index->count == model->count ? model->count - back : model->count;

	if (front < end)
		memcpy(&index->places[front], &model->places[front], (end - front) * sizeof(*index->places));
	if (hints && model->slots)
		memcpy(index->hints, model->hints, model->slots * sizeof(uint16_t));
	index->count = model->count;
	index->slots = model->slots;
	index->base = model->base;
	index->shift = model->shift;
	index->dense = model->dense;
	index->moved = model->moved;
	index->entries = model->entries;
	index->overlaps = model->overlaps;
}

/* Readers have left `index`, and `published` is edited no more: make them alike. */
void index_follow(struct pool *pool, struct index *index, struct index *published)
{
	if (!published->changed)
		return;
	if (index->later) {
		use_later(pool, index);
		published->same_front = 0;
		published->same_back = 0;
		published->new_hints = true;
	}
	copy_places(index, published, published->same_front, published->same_back, published->new_hints);
	published->changed = false;
	published->new_hints = false;
}

/* Take all edits back. What they retired stays: forget it by pool_keep_retired. */
void index_revert(struct pool *pool, struct index *index, const struct index *published)
{
	size_t at;

	if (!index->changed)
		return;
	for (at = index->same_front; at < index->count - index->same_back; at++)
		if (index->places[at].block->fresh)
			pool_give(pool, index->places[at].block);
	pool->held = pool->held - index->entries + published->entries;
	copy_places(index, published, index->same_front, index->same_back, true);
	index->changed = false;
	index->new_hints = false;
}

/* Free an index; the blocks, which two share, with one of them. */
void index_drop(struct pool *pool, struct index *index, bool with_blocks)
{
	size_t at;

	for (at = 0; with_blocks && at < index->count; at++)
		block_free(pool, index->places[at].block);
	free_places(pool, index->places, index->room);
	free_places(pool, index->later, index->later_room);
}
