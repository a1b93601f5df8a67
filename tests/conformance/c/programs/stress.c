/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer, many readers; maps of few slots and of hundreds, in blocks of several sizes. In each view that a reader gets:
 *   - the moved slot is at exactly one of its two homes, and found there by number, guest address and host address;
 *   - two slots that exchange homes in one transaction are both there, each at a home of its own;
 *   - of each pair in a crowd of slots exactly one is there: a transaction takes one out and puts the other in, and what other
 *     transactions did with both was taken back;
 *   - the indexes by guest address, host address and number hold the same slots;
 *   - slots that nobody changes never waver.
 * And each page that a reader writes is reported, once, in the logs that the writer takes, while the logged slot moves. A
 * reader has one unreported page at a time, all in one word of the log. Beside the taker, a run of dirty pages that a reader
 * finds is a run: it does not end before it begins.
 *
 * Readers of a table find one of two whole sets of entries, and each entry that comes and goes as it was added.
 *
 * --seconds N: for so long in all; default 6.
 */
#define _POSIX_C_SOURCE 200809L /* barriers */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "gpamap_vhost.h"

#define READERS 2
#define ENOUGH_LOOKS 1000
#define ENOUGH_WRITES 20
#define ENOUGH_ROUNDS 100
#define FIXED 6
#define OWN_PAGES 8

#define MOST_SLOTS 509
#define CALM 64 /* looks between two at everything */

enum { MOVED = 10, LEFT = 11, RIGHT = 12, LOGGED = 13, COMES_AND_GOES = 14, FIRST_FIXED = 20, FIRST_OF_CROWD = 200 };

static const uint64_t homes[2] = {100 * PAGE, 102 * PAGE}; /* of MOVED: 4 pages, so the homes overlap */
static const uint64_t ends[2] = {200 * PAGE, 300 * PAGE};  /* of LEFT and RIGHT */
static const uint64_t logged_at[2] = {4000 * PAGE, 4007 * PAGE};

static struct gpamap *map;
static uint32_t pairs; /* in the crowd */
static _Atomic int stop;
static pthread_barrier_t start;
static _Atomic uint64_t reported[READERS];

struct worker {
	pthread_t thread;
	int number;
	struct gpamap_reader *reader;
	_Alignas(8) _Atomic uint64_t looks; /* said, since gcc -m32 would note that it is so */
	_Alignas(8) _Atomic uint64_t written; /* counted once the page is marked */
};

static uint64_t host_at(const struct gpamap_view *view, uint64_t gpa)
{
	struct gpamap_segment found;

	return gpamap_lookup(view, 0, gpa, 1, &found) ? 0 : found.host;
}

static void check_moved(const struct gpamap_view *view)
{
	struct gpamap_slot_info info;
	struct gpamap_guest_range range;
	int home;

	CHECK(gpamap_find_slot(view, MOVED, &info) == 0);
	CHECK(info.first == homes[0] || info.first == homes[1]);
	CHECK(info.last == info.first + 4 * PAGE - 1 && info.host == 0x1000000);
	home = info.first == homes[1];
	CHECK(host_at(view, homes[home]) == info.host);
	CHECK(host_at(view, info.last) == info.host + 4 * PAGE - 1);
	CHECK(host_at(view, homes[0]) == (home ? 0 : info.host));
	CHECK(host_at(view, homes[1] + 4 * PAGE - 1) == (home ? info.host + 4 * PAGE - 1 : 0));
	CHECK(gpamap_hva_range(view, info.host + PAGE, info.host + PAGE, &range, 1) == 1);
	CHECK(range.slot == MOVED && range.first == info.first + PAGE && range.last == range.first);
}

static void check_exchanged(const struct gpamap_view *view)
{
	struct gpamap_slot_info left, right;

	CHECK(gpamap_find_slot(view, LEFT, &left) == 0 && gpamap_find_slot(view, RIGHT, &right) == 0);
	CHECK(left.first + right.first == ends[0] + ends[1] && left.first != right.first);
	CHECK(host_at(view, left.first) == left.host && host_at(view, right.first) == right.host);
}

static void check_fixed(const struct gpamap_view *view)
{
	uint64_t i;

	for (i = 0; i < FIXED; i++) {
		CHECK(host_at(view, (i * 20 + 90) * PAGE + 5) == 0x2000000 + i * PAGE + 5);
		CHECK(host_at(view, (i * 20 + 91) * PAGE) == 0);
	}
}

/* ---- The crowd ---- */

/* Neighbours share host addresses. */
static uint64_t host_of(uint32_t pair)
{
	return 0x8000000 + pair * PAGE;
}

static uint64_t home_of(uint32_t pair, int second)
{
	return (10000 + pair * 8 + (second ? 4 : 0)) * PAGE;
}

static uint32_t word_of(uint32_t pair, int second)
{
	return FIRST_OF_CROWD + pair * 2 + (second ? 1 : 0);
}

static void check_pair(struct gpamap_reader *reader, const struct gpamap_view *view, uint32_t pair)
{
	struct gpamap_segment found, again;
	struct gpamap_slot_info info;
	struct gpamap_guest_range range;
	int second = gpamap_find_slot(view, word_of(pair, 0), &info) != 0;

	CHECK((gpamap_find_slot(view, word_of(pair, 1), &info) == 0) == second);
	CHECK(gpamap_lookup(view, 0, home_of(pair, !second), 0, &found) == -EFAULT);
	CHECK(gpamap_lookup_again(reader, view, 0, home_of(pair, !second), 0, &found) == -EFAULT);
	CHECK(gpamap_lookup(view, 0, home_of(pair, second) + PAGE, 0, &found) == 0);
	CHECK(gpamap_lookup_again(reader, view, 0, home_of(pair, second) + PAGE, 0, &again) == 0);
	CHECK(found.host == host_of(pair) + PAGE && found.last == home_of(pair, second) + 2 * PAGE - 1);
	CHECK(again.first == found.first && again.last == found.last && again.host == found.host);
	CHECK(gpamap_next_slot(view, 0, home_of(pair, 0), &info) == 0 && info.slot == word_of(pair, second));
	CHECK(gpamap_lookup_hva(view, host_of(pair), &range) == 0);
	CHECK(range.slot / 2 == word_of(pair ? pair - 1 : 0, 0) / 2);
}

/* The whole view, by each of its indexes. */
static void check_all(const struct gpamap_view *view)
{
	struct gpamap_slot_info slots[MOST_SLOTS], info;
	struct gpamap_guest_range ranges[MOST_SLOTS];
	size_t count = gpamap_slots(view, slots, MOST_SLOTS);
	size_t i, in_crowd = 0;

	CHECK(count <= MOST_SLOTS && count == gpamap_hva_range(view, 0, UINT64_MAX, ranges, MOST_SLOTS));
	for (i = 0; i < count; i++) {
		in_crowd += slots[i].slot >= FIRST_OF_CROWD;
		CHECK(i == 0 || slots[i - 1].last < slots[i].first);
		CHECK(gpamap_find_slot(view, slots[i].slot, &info) == 0 && info.first == slots[i].first);
		CHECK(gpamap_find_slot(view, ranges[i].slot, &info) == 0);
		CHECK(info.first == ranges[i].first && info.last == ranges[i].last);
		CHECK(host_at(view, slots[i].first) == slots[i].host);
	}
	CHECK(in_crowd == pairs);
}

static uint32_t chance(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static int put_in(uint32_t pair, int second)
{
	return set(map, word_of(pair, second), 0, home_of(pair, second), 2 * PAGE, host_of(pair));
}

static void turn_pairs(int *is_second, uint32_t how_many, uint32_t *seed)
{
	CHECK(gpamap_begin(map) == 0);
	while (how_many--) {
		uint32_t pair = chance(seed) % pairs;

		CHECK(set(map, word_of(pair, is_second[pair]), 0, 0, 0, 0) == 0);
		is_second[pair] = !is_second[pair];
		CHECK(put_in(pair, is_second[pair]) == 0);
	}
	CHECK(gpamap_commit(map) == 0);
}

/* A stretch of the crowd goes, or has both of each pair: until it is taken back. */
static void try_in_vain(const int *is_second, uint32_t *seed)
{
	uint32_t pair = chance(seed) % pairs;
	uint32_t end = pair + chance(seed) % 40;
	int goes = chance(seed) % 2;

	CHECK(gpamap_begin(map) == 0);
	for (; pair < end && pair < pairs; pair++)
		CHECK((goes ? set(map, word_of(pair, is_second[pair]), 0, 0, 0, 0) : put_in(pair, !is_second[pair])) == 0);
	CHECK(gpamap_abort(map) == 0);
}

static int no_copy(void *context, const struct gpamap_segment *piece)
{
	(void)context;
	(void)piece;
	return 0;
}

static uint64_t page_of(int reader, uint64_t writes)
{
	return reader * OWN_PAGES + writes % OWN_PAGES;
}

/* Write another page, wherever the slot is now, once the one before was reported. */
static void write_a_page(struct worker *me, const struct gpamap_view *view)
{
	struct gpamap_slot_info info;

	if (me->written > reported[me->number])
		return;
	CHECK(gpamap_find_slot(view, LOGGED, &info) == 0);
	CHECK(gpamap_access(view, info.first + page_of(me->number, me->written) * PAGE, 1, 1, no_copy, NULL) == 0);
	me->written++;
}

/* Runs of dirty pages, while the writer takes them. */
static void check_dirty(const struct gpamap_view *view)
{
	uint64_t from, first, last;

	for (from = 0; gpamap_next_dirty(view, LOGGED, from, &first, &last); from = last + 1)
		CHECK(from <= first && first <= last && last < READERS * OWN_PAGES);
}

static void *read_on(void *argument)
{
	struct worker *me = argument;
	uint32_t seed = (uint32_t)me->number;

	pthread_barrier_wait(&start);
	while (!stop || !me->looks) {
		const struct gpamap_view *view = gpamap_enter(me->reader);

		if (pairs)
			check_pair(me->reader, view, chance(&seed) % pairs);
		if (me->looks % CALM == 0)
			check_all(view);
		check_moved(view);
		check_exchanged(view);
		check_fixed(view);
		write_a_page(me, view);
		check_dirty(view);
		gpamap_leave(me->reader);
		me->looks++;
		if (me->looks % 16 == 0)
			sched_yield(); /* few cores: better to lose the processor here than inside */
	}
	return NULL;
}

static void take_log(const struct worker *workers)
{
	uint64_t word, marked[READERS];
	struct gpamap_get_log get = {.slot = LOGGED, .bitmap = &word};
	int i;

	for (i = 0; i < READERS; i++)
		marked[i] = workers[i].written;
	CHECK(gpamap_get_dirty_log(map, &get) == 0);
	for (i = 0; i < READERS; i++) {
		uint64_t bit = UINT64_C(1) << page_of(i, reported[i]);

		if (word & bit) {
			word &= ~bit;
			reported[i]++;
		}
		CHECK(reported[i] >= marked[i]);
	}
	CHECK(word == 0);
}

static void exchange(int turn)
{
	CHECK(gpamap_begin(map) == 0);
	CHECK(set(map, LEFT, 0, 600 * PAGE, 2 * PAGE, 0x3000000) == 0);
	CHECK(set(map, RIGHT, 0, ends[turn], 2 * PAGE, 0x4000000) == 0);
	CHECK(set(map, LEFT, 0, ends[!turn], 2 * PAGE, 0x3000000) == 0);
	CHECK(gpamap_commit(map) == 0);
}

/* Whether each reader has looked and written often enough. */
static int all_done(const struct worker *workers)
{
	for (int i = 0; i < READERS; i++)
		if (workers[i].looks < ENOUGH_LOOKS || workers[i].written < ENOUGH_WRITES)
			return 0;
	return 1;
}

static double now(void)
{
	struct timespec time;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void begin_workers(struct worker *workers, void *(*work)(void *), int (*create)(struct gpamap_reader **))
{
	int i;

	stop = 0;
	memset(workers, 0, READERS * sizeof(*workers));
	CHECK(pthread_barrier_init(&start, NULL, READERS + 1) == 0);
	for (i = 0; i < READERS; i++) {
		reported[i] = 0;
		workers[i].number = i;
		CHECK(create(&workers[i].reader) == 0);
		CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	pthread_barrier_wait(&start);
}

static void end_workers(const struct worker *workers)
{
	stop = 1;
	for (int i = 0; i < READERS; i++)
		CHECK(pthread_join(workers[i].thread, NULL) == 0);
	CHECK(pthread_barrier_destroy(&start) == 0);
}

static void tell(const char *what, uint32_t slots, uint32_t block, int rounds, const struct worker *workers)
{
	printf("%s, %u pairs, blocks of %u: %d rounds of the writer; looks:", what, slots, block, rounds);
	for (int i = 0; i < READERS; i++)
		printf(" %llu", (unsigned long long)workers[i].looks);
	puts("");
}

/* ---- Maps ---- */

static int reader_of_map(struct gpamap_reader **reader)
{
	return gpamap_reader_create(map, reader);
}

static void make_map(uint32_t block)
{
	struct gpamap_config config = test_config();
	uint32_t i;

	config.largest_block = block;
	CHECK(gpamap_create(&config, &map) == 0);
	CHECK(set(map, MOVED, 0, homes[0], 4 * PAGE, 0x1000000) == 0);
	CHECK(set(map, LEFT, 0, ends[0], 2 * PAGE, 0x3000000) == 0);
	CHECK(set(map, RIGHT, 0, ends[1], 2 * PAGE, 0x4000000) == 0);
	CHECK(set(map, LOGGED, 1, logged_at[0], READERS * OWN_PAGES * PAGE, 0x5000000) == 0);
	for (i = 0; i < FIXED; i++)
		CHECK(set(map, FIRST_FIXED + i, 0, (i * 20 + 90) * PAGE, PAGE, 0x2000000 + i * PAGE) == 0);
	for (i = 0; i < pairs; i++)
		CHECK(put_in(i, 0) == 0);
}

static void run_map(uint32_t crowd, uint32_t block, double seconds)
{
	int is_second[MOST_SLOTS] = {0};
	struct worker workers[READERS];
	uint32_t i, seed = 1;
	double until;
	int round;

	pairs = crowd;
	make_map(block);
	begin_workers(workers, read_on, reader_of_map);
	until = now() + seconds;
	for (round = 0; round < ENOUGH_ROUNDS || !all_done(workers) || now() < until; round++) {
		CHECK(set(map, MOVED, 0, homes[(round + 1) % 2], 4 * PAGE, 0x1000000) == 0);
		exchange(round % 2);
		CHECK(set(map, LOGGED, 1, logged_at[(round + 1) % 2], READERS * OWN_PAGES * PAGE, 0x5000000) == 0);
		take_log(workers);
		for (i = 0; i < 9; i++)
			CHECK(set(map, COMES_AND_GOES + 100 + i, 1, (700 + i) * PAGE, PAGE, 0x6000000) == 0);
		for (i = 0; i < 9; i++)
			CHECK(set(map, COMES_AND_GOES + 100 + i, 0, 0, 0, 0) == 0);
		if (pairs) {
			turn_pairs(is_second, 1 + chance(&seed) % 20, &seed);
			try_in_vain(is_second, &seed);
		}
		sched_yield();
	}
	end_workers(workers);
	take_log(workers);
	for (i = 0; i < READERS; i++)
		CHECK(reported[i] == workers[i].written);
	tell("map", crowd, block, round, workers);
	gpamap_destroy(map);
}

/* ---- Tables ---- */

#define OF_SET 60
#define AREA (1000 * PAGE) /* from here on entries come and go */

static struct gpamap_table *table;

static int reader_of_table(struct gpamap_reader **reader)
{
	return gpamap_table_reader_create(table, reader);
}

/* Entry `i` of a set: the first half is in both. */
static struct gpamap_entry entry_of(int which, uint64_t i)
{
	uint64_t first = (i * 8 + (i >= OF_SET / 2 && which ? 4 : 0)) * PAGE;

	return (struct gpamap_entry){first, first + 2 * PAGE - 1, first + 0x10000000, GPAMAP_READ};
}

/* What is at a byte: nothing, or what was added there. */
static int is_mapped(const struct gpamap_table_view *view, uint64_t addr)
{
	struct gpamap_segment found, segment;
	struct gpamap_reach came;
	int answer = gpamap_table_lookup(view, addr, GPAMAP_READ, &found);

	CHECK(gpamap_table_segments(view, addr, 1, GPAMAP_READ, &segment, 1, &came) == answer);
	CHECK(answer == 0 || answer == -EFAULT);
	if (!answer) {
		CHECK(found.first == addr && found.host == addr + 0x10000000 && segment.host == found.host);
		CHECK(found.last - addr < 2 * PAGE && gpamap_table_lookup(view, addr, GPAMAP_WRITE, &found) == -EPERM);
	}
	return !answer;
}

static void *read_table(void *argument)
{
	struct worker *me = argument;
	uint32_t seed = (uint32_t)me->number;

	pthread_barrier_wait(&start);
	while (!stop || !me->looks) {
		const struct gpamap_table_view *view = gpamap_table_enter(me->reader);
		int second = is_mapped(view, entry_of(1, OF_SET - 1).first);
		uint64_t passing = AREA + chance(&seed) % 400 * PAGE;
		int was_mapped = is_mapped(view, passing);
		uint64_t i;

		for (i = 0; i < OF_SET; i++) {
			CHECK(is_mapped(view, entry_of(second, i).first + PAGE));
			CHECK(i < OF_SET / 2 || !is_mapped(view, entry_of(!second, i).first));
		}
		CHECK(is_mapped(view, passing) == was_mapped);
		gpamap_leave(me->reader);
		me->looks++;
		if (me->looks % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void replace_all(int which)
{
	struct gpamap_entry entries[OF_SET];
	uint64_t i;

	for (i = 0; i < OF_SET; i++)
		entries[i] = entry_of(which, i);
	CHECK(gpamap_table_replace(table, entries, OF_SET) == 0);
}

/* One set for the other, entry by entry, in a transaction. */
static void exchange_entries(int which)
{
	uint64_t i;

	CHECK(gpamap_table_begin(table) == 0);
	for (i = OF_SET / 2; i < OF_SET; i++) {
		struct gpamap_entry old = entry_of(!which, i), new = entry_of(which, i);

		CHECK(gpamap_table_remove(table, old.first, old.last, old.host) == 0);
		CHECK(gpamap_table_add(table, &new) == 0);
	}
	CHECK(gpamap_table_commit(table) == 0);
}

static void run_table(uint32_t block, double seconds)
{
	struct gpamap_table_config config = {.limit = 1000, .largest_block = block};
	struct worker workers[READERS];
	double until;
	uint32_t seed = 1;
	int round;

	CHECK(gpamap_table_create(&config, &table) == 0);
	replace_all(0);
	begin_workers(workers, read_table, reader_of_table);
	for (until = now() + seconds, round = 0; round < ENOUGH_ROUNDS || now() < until; round++) {
		int i;

		(round % 4 < 2 ? replace_all : exchange_entries)(round % 2);
		for (i = 0; i < 100; i++) {
			uint64_t first = AREA + chance(&seed) % 400 * PAGE;
			struct gpamap_entry entry = {first, first + chance(&seed) % 2 * PAGE + PAGE - 1,
						     first + 0x10000000, GPAMAP_READ};

			CHECK(gpamap_table_add(table, &entry) == 0);
			if (i % 3 == 0)
				CHECK(gpamap_table_remove(table, entry.first, entry.last, entry.host) == 0);
			if (i % 20 == 19)
				CHECK(gpamap_table_remove_range(table, first, first + 50 * PAGE) == 0);
		}
		sched_yield();
	}
	end_workers(workers);
	tell("table", OF_SET / 2, block, round, workers);
	gpamap_table_destroy(table);
}

int main(int argc, char **argv)
{
	double seconds = argc == 3 && !strcmp(argv[1], "--seconds") ? atof(argv[2]) : 6;

	CHECK((argc == 1 || argc == 3) && seconds > 0);
	run_map(0, 0, seconds / 6);
	run_map(40, 1, seconds / 6);
	run_map(150, 0, seconds / 6);
	run_map(150, 8, seconds / 6);
	run_table(0, seconds / 6);
	run_table(4, seconds / 6);
	return 0;
}
