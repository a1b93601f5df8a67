/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index by itself, beside a sorted array: thousands of random edits, publications and edits taken back, with allocations
 * that fail now and then. After each of them
 *   - the side that is edited holds what the array does, in its order, and index.h is right about each of its fields;
 *   - the side that is published is as it was when it was published;
 *   - what is searched by address, or walked through, is what the array has there.
 * Arguments: how many edits; a number to begin with (a failure tells it); and anything, if hints may be wrong.
 */
#include <string.h>

#include "check.h"
#include "index.h"
#include "translate.h"

#define MOST 700 /* ranges in an index */
#define EDITS_OF_ONE 1500
#define REFUSAL (-EPERM)

struct range {
	struct item item;
	uint64_t start;
	uintptr_t denies;
	bool used; /* in the array, or published */
};

struct array {
	struct range *at[MOST];
	size_t count;
};

static struct range ranges[2 * MOST];
static struct array now, published;
static struct index sides[2];
static struct pool pool;
static int front; /* the side that is published */
static bool hints_are_wrong;

/* ---- Chance, and memory that fails ---- */

static uint64_t state;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t below(uint64_t end)
{
	return any() % end;
}

static bool one_in(uint64_t number)
{
	return below(number) == 0;
}

static size_t in_use;
static int until_failure = -1; /* allocations; from then on all fail. Negative: none does */

static void *take(void *context, size_t size)
{
	(void)context;
	if (until_failure == 0)
		return NULL;
	if (until_failure > 0)
		until_failure--;
	in_use += size;
	return calloc(1, size);
}

static void give(void *context, void *memory, size_t size)
{
	(void)context;
	CHECK(memory && in_use >= size);
	in_use -= size;
	free(memory);
}

/* ---- The array ---- */

static uint64_t last_of(const struct range *range)
{
	return range->start + range->item.span;
}

static bool comes_before(const struct range *one, const struct range *other)
{
	return one->start < other->start || (one->start == other->start && one->item.rank <= other->item.rank);
}

static void array_insert(struct array *array, struct range *range)
{
	size_t at = array->count++;

	for (; at && !comes_before(array->at[at - 1], range); at--)
		array->at[at] = array->at[at - 1];
	array->at[at] = range;
}

static void array_remove(struct array *array, size_t at)
{
	array->count--;
	memmove(&array->at[at], &array->at[at + 1], (array->count - at) * sizeof(array->at[0]));
}

/* The leftmost range that holds the address, or NULL. */
static struct range *array_at(const struct array *array, uint64_t address)
{
	size_t at;

	for (at = 0; at < array->count && array->at[at]->start <= address; at++)
		if (last_of(array->at[at]) >= address)
			return array->at[at];
	return NULL;
}

static void note_used(void)
{
	size_t at;

	for (at = 0; at < 2 * MOST; at++)
		ranges[at].used = false;
	for (at = 0; at < now.count; at++)
		now.at[at]->used = true;
	for (at = 0; at < published.count; at++)
		published.at[at]->used = true;
}

/* ---- What holds of an index ---- */

static struct range *range_of(const struct entry *entry)
{
	return entry_item(entry);
}

/* Nothing depends on hints; but those that were just made name the first entry that reaches their slot. */
static void check_hints(const struct run *run)
{
	size_t slot;

	for (slot = 0; slot < run->slots; slot++) {
		uint64_t address = run->base + ((uint64_t)slot << run->shift);
		size_t named = run->wide ? ((const uint16_t *)run->hints)[slot] : ((const uint8_t *)run->hints)[slot];

		if (address > run->entries[run->count - 1].reach)
			return;
		CHECK(named < run->count && run->entries[named].reach >= address);
		CHECK(named == 0 || run->entries[named - 1].reach < address);
	}
}

static void check_place(const struct index *index, size_t number, const struct array *array, size_t *at, uint64_t *reach)
{
	const struct entry *place = &index->places[number];
	bool overlaps = number && place->block->entries[0].start <= *reach;
	uint64_t own = 0;
	size_t i;

	CHECK(place->count >= 1 && place->count <= place->room && place->room == place->block->room);
	CHECK(place->count <= 2 * pool.largest);
	for (i = 0; i < place->count; i++, ++*at) {
		const struct entry *entry = &place->block->entries[i];
		const struct range *range = range_of(entry);

		CHECK(*at < array->count && range == array->at[*at]);
		CHECK(entry->start == range->start && (entry->item & DENIES) == range->denies);
		own = own > last_of(range) ? own : last_of(range);
		CHECK(entry->reach == own);
	}
	*reach = *reach > own ? *reach : own;
	CHECK(place->reach == *reach && place->overlaps == overlaps);
}

static void check_index(const struct index *index, const struct array *array)
{
	size_t number, at = 0, overlaps = 0;
	uint64_t reach = 0;

	for (number = 0; number < index->count; number++) {
		check_place(index, number, array, &at, &reach);
		overlaps += index->places[number].overlaps;
	}
	CHECK(at == array->count && index->entries == array->count && index->overlaps == overlaps);
}

/* Note which blocks are published already, by a field that nobody needs while they are in use. */
static void mark_sealed(const struct index *index)
{
	size_t number;

	for (number = 0; number < index->count; number++)
		if (!index->places[number].block->fresh)
			index->places[number].block->next = index->places[number].block;
}

/* What is published: no block can be edited, and none whose ranges overlap has hints. */
static void check_sealed(const struct index *index)
{
	size_t number, i;

	for (number = 0; number < index->count; number++) {
		const struct entry *place = &index->places[number];
		const struct run run = entries_of(place);
		bool apart = true;

		CHECK(!place->block->fresh);
		if (place->block->next == place->block)
			continue;
		for (i = 1; i < place->count; i++)
			apart = apart && run.entries[i].start > run.entries[i - 1].reach;
		CHECK(apart || !run.slots);
		if (!hints_are_wrong)
			check_hints(&run);
	}
}

static void check_pool(void)
{
	struct block *block, **end;
	size_t kept = 0;

	for (block = pool.free, end = &pool.free; block; end = &block->next, block = block->next)
		kept += block->room;
	CHECK(pool.kept == kept && pool.held == now.count);
	CHECK(pool.end == end);
	CHECK(!pool.spare || pool.spare->room == 2 * pool.largest);
}

/* ---- Searches ---- */

static uint64_t any_address(const struct array *array)
{
	const struct range *range;

	if (!array->count || one_in(4))
		return one_in(2) ? below(100000) : one_in(2) ? any() : UINT64_MAX - below(3);
	range = array->at[below(array->count)];
	return (one_in(2) ? range->start : last_of(range)) + below(3) - 1;
}

static void check_seek(const struct index *index, const struct array *array, uint64_t address)
{
	const struct range *holds = array_at(array, address);
	const struct entry *entry = index_at(index, address);
	struct spot spot = index_from(index, address);
	size_t from = 0;

	CHECK((entry ? range_of(entry) : NULL) == holds);
	CHECK(!entry || entry->reach == last_of(holds));
	while (from < array->count && array->at[from]->start < address)
		from++;
	entry = index_entry(index, spot);
	CHECK((entry ? range_of(entry) : NULL) == (from < array->count ? array->at[from] : NULL));
}

static void check_walk(const struct index *index, const struct array *array, uint64_t address, uint64_t length)
{
	struct gpamap_segment segments[8];
	struct gpamap_reach reach;
	size_t room = below(8), i;
	uintptr_t denied = below(4);
	int error = walk(index, address, length, denied, REFUSAL, segments, room, &reach);
	const struct range *range;
	uint64_t bytes = 0;

	for (i = 0; i < reach.segments; i++) {
		uint64_t first = address + bytes;

		range = array_at(array, first);
		CHECK(range && !(range->denies & denied) && segments[i].first == first);
		CHECK(segments[i].host == first + (range->start ^ 0x5555) && segments[i].last >= first);
		bytes += segments[i].last - first + 1;
		CHECK(segments[i].last == last_of(range) || (segments[i].last < last_of(range) && bytes == length));
	}
	CHECK(bytes == reach.bytes && i <= room && (bytes == length) == (error == 0));
	if (!error)
		return;
	range = bytes && address + bytes <= address ? NULL : array_at(array, address + bytes);
	CHECK(error == (i == room ? -ENOBUFS : range ? REFUSAL : -EFAULT));
	CHECK(error != REFUSAL || range->denies & denied);
}

static void check_searches(const struct index *index, const struct array *array)
{
	int i;

	for (i = 0; i < 4; i++) {
		check_seek(index, array, any_address(array));
		check_walk(index, array, any_address(array), one_in(2) ? below(300) : one_in(2) ? any() : UINT64_MAX - below(3));
	}
}

/* ---- Edits ---- */

/* How the ranges of one index lie. */
static bool overlapping;
static bool seldom; /* overlapping */
static bool far;
static uint64_t width;
static uint64_t longest;
static uint64_t ranks;

static bool is_taken(uint64_t first, uint64_t last)
{
	size_t at;

	for (at = 0; at < now.count; at++)
		if (now.at[at]->start <= last && last_of(now.at[at]) >= first)
			return true;
	return false;
}

static void choose(struct range *range)
{
	uint64_t last;

	range->start = below(one_in(8) ? 500 : width);
	if (far && one_in(3))
		range->start = one_in(2) ? UINT64_MAX - below(2000) : below(9) << 58;
	if (overlapping && now.count && one_in(3))
		range->start = now.at[below(now.count)]->start;
	if (overlapping && one_in(100))
		range->start = 0;
	last = range->start + below(one_in(60) && overlapping ? UINT64_MAX : longest);
	if (overlapping && range->start == 0 && one_in(2))
		last = UINT64_MAX;
	range->item.span = (last < range->start ? UINT64_MAX : last) - range->start;
	range->item.rank = one_in(2) ? ranks++ : below(100);
	range->denies = one_in(3) ? below(4) : 0;
}

static void insert(bool may_fail)
{
	struct range *range = &ranges[below(2 * MOST)];
	struct entry entry;
	int error;

	if (range->used || now.count == MOST)
		return;
	choose(range);
	if ((!overlapping || (seldom && !one_in(30))) && is_taken(range->start, last_of(range)))
		return;
	entry = (struct entry){.start = range->start, .reach = last_of(range), .delta = range->start ^ 0x5555};
	entry.item = (uintptr_t)range | range->denies;
	/* What lies in the spare block may not grow. */
	error = pool.keeps_spare ? pool_keep_spare(&pool) : 0;
	if (!error)
		error = index_insert(&pool, &sides[!front], &sides[front], entry);
	CHECK(error == 0 || (error == -ENOMEM && may_fail));
	if (!error) {
		array_insert(&now, range);
		range->used = true;
	}
}

static void publish(void);

/* A pool that keeps a spare block finds memory for each removal, after a publication at the latest. */
static void remove_one(bool may_fail)
{
	struct index *index = &sides[!front];
	size_t at = now.count ? below(now.count) : 0;
	struct range *range = now.at[at];
	struct spot spot;
	int turn;

	if (!now.count)
		return;
	for (turn = 0; turn < 2; turn++) {
		spot = index_find(index, range->start, (uintptr_t)range | range->denies);
		CHECK(range_of(index_entry(index, spot)) == range);
		if (!index_open(&pool, index, spot)) {
			index_remove(&pool, index, spot);
			array_remove(&now, at);
			return;
		}
		CHECK(may_fail);
		if (!pool.keeps_spare)
			return;
		publish();
		index = &sides[!front];
	}
	CHECK(!"a spare block for a removal");
}

static void publish_once(void)
{
	mark_sealed(&sides[!front]);
	index_seal(&pool, &sides[!front], &sides[front]);
	check_index(&sides[!front], &now);
	front = !front;
	check_sealed(&sides[front]);
	index_follow(&pool, &sides[!front], &sides[front]);
	pool_free_retired(&pool);
	published = now;
	check_searches(&sides[front], &now);
}

static void publish(void)
{
	publish_once();
	if (index_release_spare(&pool, &sides[!front]))
		publish_once();
	CHECK(!pool.keeps_spare || pool.spare);
}

static void take_back(void)
{
	index_revert(&pool, &sides[!front], &sides[front]);
	pool_keep_retired(&pool);
	now = published;
}

static void clear(void)
{
	index_clear(&pool, &sides[!front]);
	now.count = 0;
}

/* ---- One index after the other ---- */

static void edit(bool grows, bool is_short)
{
	bool may_fail = is_short || one_in(6);
	uint64_t what = below(100);

	until_failure = is_short ? 0 : may_fail ? (int)below(4) : -1;
	if (what < 2)
		take_back();
	else if (what < 20)
		publish();
	else if (what == 99 && one_in(10))
		clear();
	else if (what < (grows ? 72u : 40u))
		insert(may_fail);
	else
		remove_one(may_fail);
	until_failure = -1;
	check_index(&sides[!front], &now);
	check_index(&sides[front], &published);
	check_searches(&sides[!front], &now);
	check_searches(&sides[front], &published);
	check_pool();
}

static size_t edit_one_index(size_t most)
{
	static const uint32_t sizes[] = {1, 2, 2, 3, 4, 4, 5, 8, 16, 0, 260};
	const struct memory memory = {take, give, NULL};
	bool grows = true;
	uint64_t shortage = 0; /* edits for which there is no memory */
	size_t edits;

	memset(sides, 0, sizeof(sides));
	memset(ranges, 0, sizeof(ranges));
	ranks = 0;
	now.count = published.count = 0;
	front = 0;
	overlapping = !one_in(3);
	seldom = one_in(2);
	longest = one_in(3) ? 2000 : one_in(2) ? 60 : 6;
	far = one_in(3);
	width = one_in(4) ? 500 : one_in(2) ? 5000 : 100000;
	pool_init(&pool, &memory, sizes[below(sizeof(sizes) / sizeof(sizes[0]))]);
	CHECK(one_in(2) || pool_keep_spare(&pool) == 0);
	for (edits = 0; edits < EDITS_OF_ONE && edits < most; edits++) {
		if (one_in(grows ? 600 : 200))
			grows = !grows;
		if (one_in(60))
			shortage = below(one_in(4) ? 200 : 20);
		edit(grows, shortage > 0);
		shortage -= shortage > 0;
		if (one_in(16))
			note_used();
	}
	take_back();
	index_drop(&pool, &sides[!front], false);
	index_drop(&pool, &sides[front], true);
	pool_drop(&pool);
	CHECK(in_use == 0);
	return edits;
}

int main(int count, char **arguments)
{
	size_t left = count > 1 ? strtoul(arguments[1], NULL, 10) : 100000;
	uint64_t seed = count > 2 ? strtoul(arguments[2], NULL, 10) : 1;

	hints_are_wrong = count > 3;
	for (; left; seed++) {
		state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
		printf("seed %llu\n", (unsigned long long)seed);
		fflush(stdout);
		left -= edit_one_index(left);
	}
	return 0;
}
