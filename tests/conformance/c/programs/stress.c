/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer, many readers. In each view that a reader gets:
 *   - the moved slot is at exactly one of its two homes, and found there by number, guest address and host address;
 *   - two slots that exchange homes in one transaction are both there, each at a home of its own;
 *   - slots that nobody changes never waver.
 * And each page that a reader writes is reported, once, in the logs that the writer takes, while the logged slot moves. A
 * reader has one unreported page at a time, all in one word of the log.
 */
#define _POSIX_C_SOURCE 200809L /* barriers */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "check.h"

#define READERS 2
#define ENOUGH_LOOKS 1000
#define ENOUGH_WRITES 20
#define ENOUGH_ROUNDS 100
#define FIXED 6
#define OWN_PAGES 8

enum { MOVED = 10, LEFT = 11, RIGHT = 12, LOGGED = 13, COMES_AND_GOES = 14, FIRST_FIXED = 20 };

static const uint64_t homes[2] = {100 * PAGE, 102 * PAGE}; /* of MOVED: 4 pages, so the homes overlap */
static const uint64_t ends[2] = {200 * PAGE, 300 * PAGE};  /* of LEFT and RIGHT */
static const uint64_t logged_at[2] = {4000 * PAGE, 4007 * PAGE};

static struct gpamap *map;
static _Atomic int stop;
static pthread_barrier_t start;
static _Atomic uint64_t reported[READERS];

struct worker {
	pthread_t thread;
	int number;
	struct gpamap_reader *reader;
	_Atomic uint64_t looks;
	_Atomic uint64_t written; /* counted once the page is marked */
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

static void *read_on(void *argument)
{
	struct worker *me = argument;

	pthread_barrier_wait(&start);
	while (!stop || !me->looks) {
		const struct gpamap_view *view = gpamap_enter(me->reader);

		check_moved(view);
		check_exchanged(view);
		check_fixed(view);
		write_a_page(me, view);
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
	int i;

	for (i = 0; i < READERS; i++)
		if (workers[i].looks < ENOUGH_LOOKS || workers[i].written < ENOUGH_WRITES)
			return 0;
	return 1;
}

int main(void)
{
	struct gpamap_config config = test_config();
	struct worker workers[READERS];
	uint32_t i;
	int round;

	CHECK(gpamap_create(&config, &map) == 0);
	CHECK(set(map, MOVED, 0, homes[0], 4 * PAGE, 0x1000000) == 0);
	CHECK(set(map, LEFT, 0, ends[0], 2 * PAGE, 0x3000000) == 0);
	CHECK(set(map, RIGHT, 0, ends[1], 2 * PAGE, 0x4000000) == 0);
	CHECK(set(map, LOGGED, 1, logged_at[0], READERS * OWN_PAGES * PAGE, 0x5000000) == 0);
	for (i = 0; i < FIXED; i++)
		CHECK(set(map, FIRST_FIXED + i, 0, (i * 20 + 90) * PAGE, PAGE, 0x2000000 + i * PAGE) == 0);

	memset(workers, 0, sizeof(workers));
	CHECK(pthread_barrier_init(&start, NULL, READERS + 1) == 0);
	for (i = 0; i < READERS; i++) {
		workers[i].number = (int)i;
		CHECK(gpamap_reader_create(map, &workers[i].reader) == 0);
		CHECK(pthread_create(&workers[i].thread, NULL, read_on, &workers[i]) == 0);
	}
	pthread_barrier_wait(&start);
	for (round = 0; round < ENOUGH_ROUNDS || !all_done(workers); round++) {
		CHECK(set(map, MOVED, 0, homes[(round + 1) % 2], 4 * PAGE, 0x1000000) == 0);
		exchange(round % 2);
		CHECK(set(map, LOGGED, 1, logged_at[(round + 1) % 2], READERS * OWN_PAGES * PAGE, 0x5000000) == 0);
		take_log(workers);
		for (i = 0; i < 9; i++)
			CHECK(set(map, COMES_AND_GOES + 100 + i, 1, (700 + i) * PAGE, PAGE, 0x6000000) == 0);
		for (i = 0; i < 9; i++)
			CHECK(set(map, COMES_AND_GOES + 100 + i, 0, 0, 0, 0) == 0);
		sched_yield();
	}
	stop = 1;
	for (i = 0; i < READERS; i++)
		CHECK(pthread_join(workers[i].thread, NULL) == 0);
	take_log(workers);
	for (i = 0; i < READERS; i++) {
		CHECK(reported[i] == workers[i].written);
		printf("reader %u: %llu looks, %llu writes\n", i, (unsigned long long)workers[i].looks,
		       (unsigned long long)workers[i].written);
	}
	printf("writer: %d rounds\n", round);
	gpamap_destroy(map);
	return 0;
}
