/* SPDX-License-Identifier: Apache-2.0 */
/* Tables by themselves: their limits, their borders, and many threads that translate by one. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "gpamap_vhost.h"

#define THREADS 3
#define ENTRIES 200
#define LOOKS 2000

static struct gpamap_table *table_of(size_t limit, uint32_t retirement)
{
	struct gpamap_table_config config = {.limit = limit, .retirement = retirement};
	struct gpamap_table *table = NULL;

	CHECK(gpamap_table_create(&config, &table) == 0);
	return table;
}

static void *no_memory(void *context, size_t size)
{
	(void)context;
	(void)size;
	return NULL;
}

static void test_bad_configurations(void)
{
	struct gpamap_table_config config = {.limit = 1, .retirement = 3};
	struct gpamap_device_config numbers = {.max_regions = 1, .iotlb_limit = 1, .retirement = GPAMAP_REFUSE};
	struct gpamap_device *no_device = NULL;
	struct gpamap_table *none = NULL;

	CHECK(gpamap_table_create(&config, &none) == -EINVAL);
	config.retirement = GPAMAP_FIFO;
	config.limit = 0;
	CHECK(gpamap_table_create(&config, &none) == -EINVAL);
	config.limit = 1;
	config.zalloc = no_memory;
	CHECK(gpamap_table_create(&config, &none) == -EINVAL && none == NULL);
	gpamap_table_destroy(none);

	CHECK(gpamap_device_create(&numbers, &no_device) == -EINVAL);
	numbers.retirement = GPAMAP_LRU;
	numbers.iotlb_follows = 2;
	CHECK(gpamap_device_create(&numbers, &no_device) == -EINVAL);
	numbers.iotlb_follows = 1;
	numbers.iotlb_limit = 0;
	CHECK(gpamap_device_create(&numbers, &no_device) == -EINVAL);
	numbers.iotlb_limit = 1;
	numbers.zalloc = no_memory;
	CHECK(gpamap_device_create(&numbers, &no_device) == -EINVAL && no_device == NULL);
	gpamap_device_destroy(no_device);
}

static void test_refusals(void)
{
	struct gpamap_table *table = table_of(2, GPAMAP_REFUSE);
	struct gpamap_table *nothing = table_of(0, GPAMAP_REFUSE);
	struct gpamap_entry good[3] = {{0, 9, 100, 1}, {5, 20, 200, 2}, {30, 30, 300, 3}};
	struct gpamap_entry reversed = {10, 9, 0, 1}, unknown = {0, 9, 0, 4}, seen[3];
	struct gpamap_segment segment;
	struct gpamap_reach reach;

	CHECK(gpamap_table_add(nothing, &good[0]) == -ENOSPC);
	CHECK(gpamap_table_replace(nothing, NULL, 0) == 0);
	CHECK(gpamap_table_add(table, &reversed) == -EINVAL && gpamap_table_add(table, &unknown) == -EINVAL);
	CHECK(gpamap_table_replace(table, good, 2) == 0);
	CHECK(gpamap_table_add(table, &good[2]) == -ENOSPC);
	CHECK(gpamap_table_replace(table, good, 3) == -ENOSPC);
	good[1] = reversed;
	CHECK(gpamap_table_replace(table, good, 2) == -EINVAL);
	CHECK(gpamap_table_remove(table, 0, 9, 101) == -ENOENT && gpamap_table_remove(table, 0, 8, 100) == -ENOENT);
	CHECK(gpamap_table_remove_range(table, 1, 0) == -EINVAL);
	CHECK(gpamap_table_entries(table, seen, 3) == 2 && seen[0].host == 100 && seen[1].host == 200);
	CHECK(gpamap_table_translate(table, 0, 1, 0, &segment, 1, &reach) == -EINVAL);
	CHECK(gpamap_table_translate(table, 0, 1, 3, &segment, 1, &reach) == -EINVAL);
	CHECK(gpamap_table_remove(table, 5, 20, 200) == 0);
	CHECK(gpamap_table_entries(table, seen, 0) == 1);
	gpamap_table_destroy(table);
	gpamap_table_destroy(nothing);
}

/* One entry that holds every address there is, and lives at hosts that wrap. */
static void test_everything(void)
{
	struct gpamap_table *table = table_of(1, GPAMAP_LRU);
	struct gpamap_entry all = {0, UINT64_MAX, 5, GPAMAP_READ};
	struct gpamap_segment segment;
	struct gpamap_reach reach;

	CHECK(gpamap_table_add(table, &all) == 0);
	CHECK(gpamap_table_translate(table, 0, UINT64_MAX, GPAMAP_READ, &segment, 1, &reach) == 0);
	CHECK(segment.first == 0 && segment.last == UINT64_MAX - 1 && segment.host == 5 && reach.bytes == UINT64_MAX);
	CHECK(gpamap_table_translate(table, UINT64_MAX, 1, GPAMAP_READ, &segment, 1, &reach) == 0);
	CHECK(segment.first == UINT64_MAX && segment.last == UINT64_MAX && segment.host == 4);
	CHECK(gpamap_table_translate(table, UINT64_MAX, 2, GPAMAP_READ, &segment, 1, &reach) == -ENOBUFS);
	CHECK(gpamap_table_translate(table, 1, UINT64_MAX, GPAMAP_READ, &segment, 2, &reach) == 0);
	CHECK(gpamap_table_translate(table, 2, UINT64_MAX, GPAMAP_READ, &segment, 2, &reach) == -EFAULT);
	CHECK(reach.bytes == UINT64_MAX - 1 && reach.segments == 1);
	CHECK(gpamap_table_translate(table, 7, 0, GPAMAP_WRITE, NULL, 0, &reach) == 0 && reach.segments == 0);
	CHECK(gpamap_table_translate(table, 7, 1, GPAMAP_WRITE, &segment, 1, &reach) == -EPERM && reach.bytes == 0);
	CHECK(gpamap_table_remove(table, 0, UINT64_MAX, 5) == 0);
	CHECK(gpamap_table_translate(table, 0, 1, GPAMAP_READ, &segment, 1, &reach) == -EFAULT);
	CHECK(gpamap_table_add(table, &all) == 0);
	CHECK(gpamap_table_remove_range(table, UINT64_MAX, UINT64_MAX) == 0);
	CHECK(gpamap_table_entries(table, NULL, 0) == 0);
	gpamap_table_destroy(table);
}

/* Messages go through unaligned memory as well. */
static void test_unaligned_messages(void)
{
	struct gpamap_device_config config = {
		.max_regions = 1,
		.iotlb_limit = 1,
		.features = GPAMAP_ACCESS_PLATFORM,
		.retirement = GPAMAP_FIFO,
	};
	uint64_t features = GPAMAP_ACCESS_PLATFORM;
	struct gpamap_segment segment;
	struct gpamap_device *device;
	struct gpamap_reach reach;
	unsigned char bytes[GPAMAP_MESSAGE_BYTES + 1];
	uint64_t iova;

	CHECK(gpamap_device_create(&config, &device) == 0);
	CHECK(gpamap_device_write(device, NULL, 0, NULL) == -EINVAL);
	CHECK(gpamap_device_set_features(device, &features) == 0);
	CHECK(gpamap_device_translate(device, 2, 0, 1, GPAMAP_READ, &segment, 1, &reach) == -EINVAL);
	CHECK(gpamap_device_translate(device, 1, 77, 1, GPAMAP_READ, &segment, 1, &reach) == -EAGAIN);
	memset(bytes, 0xff, sizeof(bytes));
	CHECK(gpamap_device_read(device, bytes + 1, GPAMAP_MESSAGE_BYTES) == GPAMAP_MESSAGE_BYTES);
	memcpy(&iova, bytes + 1 + 8, sizeof(iova));
	CHECK(iova == 77 && bytes[1 + 33] == GPAMAP_MISS && bytes[GPAMAP_MESSAGE_BYTES] == 0);
	bytes[1 + 33] = GPAMAP_UPDATE;
	bytes[1 + 32] = 0;
	bytes[1 + 16] = 1; /* one byte */
	CHECK(gpamap_device_write(device, bytes + 1, 40, NULL) == GPAMAP_MESSAGE_BYTES);
	CHECK(gpamap_device_misses(device, 1, NULL, 0) == 0);
	CHECK(gpamap_device_translate(device, 1, 77, 1, GPAMAP_READ, &segment, 1, &reach) == -EPERM);
	gpamap_device_destroy(device);
}

static void *translate_on(void *argument)
{
	struct gpamap_table *table = argument;
	uint64_t i;

	for (i = 0; i < LOOKS; i++) {
		struct gpamap_segment segments[2];
		struct gpamap_reach reach;
		uint64_t page = i * 7 % (ENTRIES - 1);

		CHECK(gpamap_table_translate(table, page * PAGE + 5, PAGE, GPAMAP_READ, segments, 2, &reach) == 0);
		CHECK(reach.segments == 2 && segments[0].host == page * 2 * PAGE + 5);
		CHECK(segments[1].host == (page + 1) * 2 * PAGE && segments[1].last == (page + 1) * PAGE + 4);
	}
	return NULL;
}

static void test_threads(void)
{
	struct gpamap_table *table = table_of(ENTRIES, GPAMAP_FIFO);
	pthread_t threads[THREADS];
	uint64_t i;

	for (i = 0; i < ENTRIES; i++) {
		struct gpamap_entry entry = {i * PAGE, (i + 1) * PAGE - 1, i * 2 * PAGE, GPAMAP_READ};

		CHECK(gpamap_table_add(table, &entry) == 0);
	}
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, translate_on, table) == 0);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	gpamap_table_destroy(table);
}

int main(void)
{
	test_bad_configurations();
	test_refusals();
	test_everything();
	test_unaligned_messages();
	test_threads();
	return 0;
}
