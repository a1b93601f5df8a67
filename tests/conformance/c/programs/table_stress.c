/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer of a table, many readers. In each view that a reader gets:
 *   - entries that nobody changes are there, in blocks that are copied, split and joined all the time;
 *   - of two sets of entries, one replacing the other, there is one, and all of it.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "gpamap_vhost.h"

#define READERS 2
#define ENOUGH_LOOKS 2000
#define FIXED 40
#define SET 12

struct worker {
	pthread_t thread;
	int number;
	struct gpamap_reader *readers[2];
};

static struct gpamap_table *table;   /* FIXED entries, and others between them that come and go */
static struct gpamap_table *swapped; /* SET entries of generation 0 or 1 */
static _Atomic int stop;
static _Atomic uint64_t looks[READERS];

static struct gpamap_entry entry_at(uint64_t page, uint64_t host)
{
	return (struct gpamap_entry){page * PAGE, page * PAGE + PAGE - 1, host, GPAMAP_READ};
}

static void check_fixed(const struct gpamap_table_view *view)
{
	struct gpamap_segment found;
	uint64_t i;

	for (i = 0; i < FIXED; i++) {
		CHECK(gpamap_table_lookup(view, i * 8 * PAGE + 5, GPAMAP_READ, &found) == 0);
		CHECK(found.host == i * PAGE + 5 && found.last == i * 8 * PAGE + PAGE - 1);
		CHECK(gpamap_table_lookup(view, i * 8 * PAGE + 5, GPAMAP_WRITE, &found) == -EPERM);
	}
}

static void check_swapped(const struct gpamap_table_view *view)
{
	struct gpamap_segment segments[SET];
	struct gpamap_reach reach;
	uint64_t i, generation;

	CHECK(gpamap_table_segments(view, 0, SET * PAGE, GPAMAP_READ, segments, SET, &reach) == 0);
	CHECK(reach.segments == SET);
	generation = segments[0].host >> 40;
	for (i = 0; i < SET; i++)
		CHECK(segments[i].host == (generation << 40) + i * PAGE * 2);
}

static void *read_on(void *argument)
{
	struct worker *me = argument;

	while (!stop) {
		check_fixed(gpamap_table_enter(me->readers[0]));
		gpamap_leave(me->readers[0]);
		check_swapped(gpamap_table_enter(me->readers[1]));
		gpamap_leave(me->readers[1]);
		if (++looks[me->number] % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void replace(uint64_t generation)
{
	struct gpamap_entry entries[SET];
	uint64_t i;

	for (i = 0; i < SET; i++)
		entries[i] = entry_at(i, (generation << 40) + i * PAGE * 2);
	CHECK(gpamap_table_replace(swapped, entries, SET) == 0);
}

int main(void)
{
	struct gpamap_table_config config = {.limit = 400, .retirement = GPAMAP_REFUSE, .largest_block = 4};
	struct worker workers[READERS];
	uint64_t round, i;

	CHECK(gpamap_table_create(&config, &table) == 0 && gpamap_table_create(&config, &swapped) == 0);
	for (i = 0; i < FIXED; i++) {
		struct gpamap_entry entry = entry_at(i * 8, i * PAGE);

		CHECK(gpamap_table_add(table, &entry) == 0);
	}
	replace(0);
	for (i = 0; i < READERS; i++) {
		workers[i].number = (int)i;
		CHECK(gpamap_table_reader_create(table, &workers[i].readers[0]) == 0);
		CHECK(gpamap_table_reader_create(swapped, &workers[i].readers[1]) == 0);
		CHECK(pthread_create(&workers[i].thread, NULL, read_on, &workers[i]) == 0);
	}
	for (round = 0; looks[0] < ENOUGH_LOOKS || looks[1] < ENOUGH_LOOKS; round++) {
		uint64_t page = round * 7 % (FIXED * 8);
		struct gpamap_entry entry = entry_at(page | 1, round);

		replace(round % 2);
		CHECK(gpamap_table_add(table, &entry) == 0);
		if (round % 4 == 3)
			CHECK(gpamap_table_remove_range(table, (page & ~7) * PAGE + PAGE, (page | 7) * PAGE) == 0);
		if (round % 64 == 63)
			for (i = 0; i < FIXED; i++)
				CHECK(gpamap_table_remove_range(table, (i * 8 + 1) * PAGE, (i * 8 + 7) * PAGE) == 0);
	}
	stop = 1;
	for (i = 0; i < READERS; i++)
		CHECK(pthread_join(workers[i].thread, NULL) == 0);
	gpamap_table_destroy(table);
	gpamap_table_destroy(swapped);
	return 0;
}
