/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: nothing is seen before the commit, all of it after, nothing after an abort. */
#include "check.h"

#define HERE (16 * PAGE)
#define THERE (64 * PAGE)
#define ASIDE (128 * PAGE)

static struct gpamap *map;
static struct gpamap_reader *reader;

/* Where guest byte `gpa` lives; 0 for nowhere. */
static uint64_t host_of(uint64_t gpa)
{
	struct gpamap_segment found = {0};

	(void)gpamap_lookup(gpamap_enter(reader), 0, gpa, 0, &found);
	gpamap_leave(reader);
	return found.host;
}

static size_t slots(void)
{
	size_t count = gpamap_slots(gpamap_enter(reader), NULL, 0);

	gpamap_leave(reader);
	return count;
}

static void exchange_homes(void)
{
	CHECK(set(map, 1, 0, ASIDE, 4 * PAGE, 0x100000) == 0);
	CHECK(set(map, 2, 0, HERE, 4 * PAGE, 0x200000) == 0);
	CHECK(set(map, 1, 0, THERE, 4 * PAGE, 0x100000) == 0);
}

static void test_commit(void)
{
	CHECK(gpamap_begin(map) == 0);
	CHECK(gpamap_begin(map) == -EBUSY);
	exchange_homes();
	CHECK(host_of(HERE) == 0x100000 && host_of(THERE) == 0x200000 && host_of(ASIDE) == 0);
	CHECK(gpamap_commit(map) == 0);
	CHECK(host_of(HERE) == 0x200000 && host_of(THERE) == 0x100000 && host_of(ASIDE) == 0);
	CHECK(gpamap_commit(map) == -EINVAL);
	CHECK(gpamap_abort(map) == -EINVAL);
}

static void test_abort(void)
{
	uint32_t i;

	CHECK(gpamap_begin(map) == 0);
	/* The changes are checked upon each other, not upon what is published */
	CHECK(set(map, 1, 0, HERE, 4 * PAGE, 0x100000) == -EEXIST);
	CHECK(set(map, 2, 0, 0, 0, 0) == 0);
	CHECK(set(map, 1, GPAMAP_LOG_DIRTY_PAGES, HERE, 4 * PAGE, 0x100000) == 0);
	CHECK(set(map, 1, 0, HERE, 4 * PAGE, 0x100000) == 0);
	for (i = 10; i < 60; i++)
		CHECK(set(map, i, GPAMAP_LOG_DIRTY_PAGES, (1000 + i) * PAGE, PAGE, 0x300000) == 0);
	CHECK(set(map, 10, 0, 0, 0, 0) == 0);
	CHECK(slots() == 2);
	CHECK(gpamap_abort(map) == 0);
	CHECK(slots() == 2);
	CHECK(host_of(HERE) == 0x200000 && host_of(THERE) == 0x100000);
	CHECK(set(map, 1, 0, HERE, 4 * PAGE, 0x100000) == -EEXIST);
}

/* A log belongs to the published slot until the commit, and moves with it. */
static void test_log_in_a_transaction(void)
{
	uint64_t bitmap = 0;
	struct gpamap_get_log get = {.slot = 5, .bitmap = &bitmap};
	uint64_t first, last;

	CHECK(set(map, 5, GPAMAP_LOG_DIRTY_PAGES, 500 * PAGE, 3 * PAGE, 0x400000) == 0);
	CHECK(gpamap_begin(map) == 0);
	CHECK(set(map, 5, GPAMAP_LOG_DIRTY_PAGES, 600 * PAGE, 3 * PAGE, 0x400000) == 0);
	CHECK(gpamap_get_dirty_log(map, &get) == 0 && bitmap == 0);
	CHECK(gpamap_commit(map) == 0);
	CHECK(gpamap_next_dirty(gpamap_enter(reader), 5, 0, &first, &last) == 0);
	gpamap_leave(reader);

	/* Off and on again in one transaction: a new log. */
	CHECK(gpamap_begin(map) == 0);
	CHECK(set(map, 5, 0, 600 * PAGE, 3 * PAGE, 0x400000) == 0);
	CHECK(set(map, 5, GPAMAP_LOG_DIRTY_PAGES, 600 * PAGE, 3 * PAGE, 0x400000) == 0);
	CHECK(gpamap_commit(map) == 0);
	CHECK(gpamap_get_dirty_log(map, &get) == 0 && bitmap == 0);
}

static void test_bad_configurations(void)
{
	struct gpamap_config config = test_config();
	struct gpamap *none = NULL;

	config.user_slots = 0;
	CHECK(gpamap_create(&config, &none) == -EINVAL);
	config.user_slots = 65537;
	CHECK(gpamap_create(&config, &none) == -EINVAL);
	config = test_config();
	config.address_spaces = 0;
	CHECK(gpamap_create(&config, &none) == -EINVAL);
	CHECK(none == NULL);
	gpamap_destroy(none);
}

int main(void)
{
	struct gpamap_config config = test_config();
	struct gpamap_reader *other;

	CHECK(gpamap_create(&config, &map) == 0);
	CHECK(gpamap_reader_create(map, &reader) == 0);
	CHECK(gpamap_reader_create(map, &other) == 0);
	CHECK(set(map, 1, 0, HERE, 4 * PAGE, 0x100000) == 0);
	CHECK(set(map, 2, 0, THERE, 4 * PAGE, 0x200000) == 0);
	test_commit();
	test_abort();
	test_log_in_a_transaction();
	test_bad_configurations();
	gpamap_reader_destroy(map, reader);
	CHECK(gpamap_begin(map) == 0); /* destroyed in the middle of a transaction */
	CHECK(set(map, 7, GPAMAP_LOG_DIRTY_PAGES, 700 * PAGE, PAGE, 0) == 0);
	gpamap_destroy(map);
	return 0;
}
