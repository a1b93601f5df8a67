/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As allocation.c, for a device: every allocation of a long trace fails once, the step reports ENOMEM, nothing has changed,
 * and the step then works. At the end all is as it is without failures, also the order in which entries are given up.
 */
#define _POSIX_C_SOURCE 200809L /* fmemopen */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "failing.h"
#include "gpamap_vhost.h"

#define STEPS 240
#define MOST 32
#define LIMIT 6

/* All that can be seen of a device, as text. */
static char before[32768], after[32768], reference[32768], fifo[32768];

static void look_at_table(FILE *text, const char *name, const struct gpamap_table *table)
{
	struct gpamap_entry entries[MOST];
	size_t count = table ? gpamap_table_entries(table, entries, MOST) : 0;
	size_t i;

	CHECK(count <= MOST);
	fprintf(text, "%s %s\n", table ? "has" : "has no", name);
	for (i = 0; i < count; i++)
		fprintf(text, "%" PRIx64 "..%" PRIx64 " %" PRIx64 " %u\n", entries[i].first, entries[i].last,
			entries[i].host, entries[i].perm);
}

static void look(const struct gpamap_device *device, char *seen)
{
	FILE *text = fmemopen(seen, sizeof(before), "w");
	struct gpamap_miss misses[MOST];
	size_t count, i;
	int read;

	CHECK(text);
	look_at_table(text, "table", gpamap_device_table(device));
	look_at_table(text, "iotlb", gpamap_device_iotlb(device));
	for (read = 0; read < 2; read++) {
		count = gpamap_device_misses(device, read, misses, MOST);
		for (i = 0; i < count && i < MOST; i++)
			fprintf(text, "%d: %" PRIx64 " %u %u %u\n", read, misses[i].iova, misses[i].access,
				misses[i].queue, misses[i].framing);
		fprintf(text, "%zu\n", count);
	}
	CHECK(fputc(0, text) == 0 && fclose(text) == 0);
}

static uint32_t chance(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static int write_message(struct gpamap_device *device, uint8_t kind, uint64_t iova, uint64_t size, struct gpamap_woken *woken)
{
	unsigned char message[GPAMAP_MESSAGE_BYTES] = {0};
	uint32_t framing = 2;
	uint64_t host = 0x100000;

	memcpy(message, &framing, sizeof(framing));
	memcpy(message + 8, &iova, sizeof(iova));
	memcpy(message + 16, &size, sizeof(size));
	memcpy(message + 24, &host, sizeof(host));
	message[32] = GPAMAP_READ | GPAMAP_WRITE;
	message[33] = kind;
	return gpamap_device_write(device, message, sizeof(message), woken);
}

static int set_table(struct gpamap_device *device, uint32_t *seed)
{
	struct gpamap_memory_region regions[MOST];
	struct gpamap_memory_table table = {.nregions = chance(seed) % (LIMIT + 2), .regions = regions};
	uint32_t i;

	for (i = 0; i < table.nregions; i++)
		regions[i] = (struct gpamap_memory_region){chance(seed) % 8 * PAGE, PAGE * (1 + chance(seed) % 4), i * PAGE};
	return gpamap_device_set_mem_table(device, &table);
}

/* The same step of the trace does the same each time, in the same state. */
static int do_step(struct gpamap_device *device, uint32_t step)
{
	static const uint64_t with_iotlb = GPAMAP_ACCESS_PLATFORM;
	struct gpamap_segment segments[8];
	struct gpamap_woken woken;
	struct gpamap_reach reach;
	unsigned char message[GPAMAP_MESSAGE_BYTES];
	uint32_t seed = step * 7919 + 1;
	uint64_t address = chance(&seed) % 24 * PAGE;
	int answer;

	if (step == 0)
		return gpamap_device_set_owner(device);
	if (step == STEPS / 3 || step == STEPS / 3 + 40)
		return gpamap_device_set_features(device, &with_iotlb);
	switch (chance(&seed) % 10) {
	case 0:
		return set_table(device, &seed);
	case 1:
	case 2:
		return gpamap_device_add_region(device, address, 2 * PAGE, step * PAGE);
	case 3:
		return gpamap_device_remove_range(device, address, address + PAGE);
	case 4:
		return write_message(device, GPAMAP_INVALIDATE, address, 1, NULL);
	case 5:
		return gpamap_device_read(device, message, sizeof(message));
	case 6:
	case 7:
		answer = write_message(device, GPAMAP_UPDATE, address, 2 * PAGE, &woken);
		CHECK(answer > 0 || woken.count == 0);
		return answer;
	default:
		return gpamap_device_translate(device, step % 2, address, 4 * PAGE, GPAMAP_READ, segments, 8, &reach);
	}
}

/* Whether the step takes something out: that must not fail for want of memory. */
static bool removes(uint32_t step)
{
	uint32_t seed = step * 7919 + 1;
	uint32_t choice;

	(void)chance(&seed);
	choice = chance(&seed) % 10;
	return step && step != STEPS / 3 && step != STEPS / 3 + 40 && (choice == 3 || choice == 4);
}

/* The trace with one failing allocation. Returns whether it came to that. */
static bool run_trace(size_t fail_at, uint32_t retirement, char *end)
{
	struct memory memory = {.fail_at = fail_at};
	struct gpamap_device_config config = {
		.max_regions = MOST,
		.iotlb_limit = LIMIT,
		.user_limit = (uint64_t)1 << 47,
		.features = GPAMAP_ACCESS_PLATFORM,
		.retirement = retirement,
		.zalloc = zalloc,
		.release = release,
		.context = &memory,
	};
	struct gpamap_device *device = NULL;
	uint32_t step;
	int failed = 0;

	if (gpamap_device_create(&config, &device) == -ENOMEM) {
		CHECK(memory.in_use == 0 && device == NULL);
		failed++;
		CHECK(gpamap_device_create(&config, &device) == 0);
	}
	for (step = 0; step < STEPS; step++) {
		look(device, before);
		if (do_step(device, step) != -ENOMEM)
			continue;
		failed++;
		CHECK(!removes(step));
		look(device, after);
		CHECK(strcmp(before, after) == 0);
		CHECK(do_step(device, step) != -ENOMEM);
	}
	look(device, end);
	gpamap_device_destroy(device);
	CHECK(memory.in_use == 0 && failed <= 1);
	return memory.count > fail_at;
}

static void test_tables(void)
{
	struct memory memory = {.fail_at = 0};
	struct gpamap_table_config config = {
		.limit = 4,
		.retirement = GPAMAP_LRU,
		.zalloc = zalloc,
		.release = release,
		.context = &memory,
	};
	struct gpamap_entry entry = {0, 9, 0, GPAMAP_READ};
	struct gpamap_entry entries[4] = {{0, 9, 0, 1}, {5, 9, 0, 1}, {0, 2, 0, 1}, {7, 7, 0, 1}};
	struct gpamap_table *table = NULL;
	size_t i;

	CHECK(gpamap_table_create(&config, &table) == -ENOMEM && table == NULL && memory.in_use == 0);
	CHECK(gpamap_table_create(&config, &table) == 0);
	for (i = 0; memory.fail_at = memory.count + i, gpamap_table_add(table, &entry); i++)
		CHECK(gpamap_table_entries(table, NULL, 0) == 0);
	CHECK(i > 2 && gpamap_table_entries(table, NULL, 0) == 1);
	for (i = 0; memory.fail_at = memory.count + i, gpamap_table_replace(table, entries, 4); i++)
		CHECK(gpamap_table_entries(table, NULL, 0) == 1);
	CHECK(i >= 4);
	for (i = 0; memory.fail_at = memory.count + i, gpamap_table_add(table, &entry); i++)
		CHECK(gpamap_table_entries(table, NULL, 0) == 4);
	CHECK(gpamap_table_entries(table, NULL, 0) == 4);
	gpamap_table_destroy(table);
	CHECK(memory.in_use == 0);
}

int main(void)
{
	uint32_t retirement;

	for (retirement = GPAMAP_FIFO; retirement <= GPAMAP_LRU; retirement++) {
		size_t fail_at = 0;

		CHECK(run_trace(SIZE_MAX, retirement, reference) == 0);
		CHECK(strstr(reference, "has table") && strstr(reference, "has iotlb") && strstr(reference, "0: "));
		while (run_trace(fail_at, retirement, after)) {
			CHECK(strcmp(after, reference) == 0);
			fail_at++;
		}
		printf("%zu allocations failed, one at a time\n", fail_at);
		CHECK(fail_at > 100);
		CHECK(retirement == GPAMAP_FIFO || strcmp(fifo, reference) != 0);
		strcpy(fifo, reference);
	}
	test_tables();
	return 0;
}
