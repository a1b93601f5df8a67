/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As allocation.c, for a device: every allocation of a long trace fails once, the step reports ENOMEM, nothing has changed,
 * and the step then works. At the end all is as it is without failures, also the order in which entries are given up.
 *
 * Then tables of hundreds of entries, with a reader: each step fails at its first allocation, then at its second, and so on
 * until it works; one failing, or all from there on. What takes entries out works without any memory.
 */
#define _POSIX_C_SOURCE 200809L /* fmemopen */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "failing.h"
#include "gpamap_vhost.h"

#define STEPS 240
#define MOST 32
#define LIMIT 6

#define MANY_STEPS 1200
#define MANY 300 /* entries */
#define MANY_LIMIT 220

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
	return step && (step == STEPS / 3 || step == STEPS / 3 + 40 || choice == 3 || choice == 4);
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

/* ---- Tables of hundreds of entries ---- */

/* What is seen of a table: its entries, and where a reader finds bytes. */
struct sight {
	size_t count;
	struct gpamap_entry entries[MANY];
	struct gpamap_segment found[128];
	int answers[128];
};

static struct sight sights[2];
static uint64_t sums[MANY_STEPS]; /* of what is seen after each step, without failures */

static void look_at_many(const struct gpamap_table *table, struct gpamap_reader *reader, struct sight *sight)
{
	const struct gpamap_table_view *view = gpamap_table_enter(reader);
	uint64_t i;

	memset(sight, 0, sizeof(*sight));
	sight->count = gpamap_table_entries(table, sight->entries, MANY);
	CHECK(sight->count <= MANY);
	for (i = 0; i < 128; i++)
		sight->answers[i] = gpamap_table_lookup(view, i * 31 % 2048 * PAGE, GPAMAP_READ, &sight->found[i]);
	gpamap_leave(reader);
}

static void add_to(uint64_t *sum, uint64_t word)
{
	*sum = (*sum ^ word) * 0x9e3779b97f4a7c15;
	*sum ^= *sum >> 29;
}

/* Of all that is said; what lies between the members of a structure is nobody's. */
static uint64_t sum_of(const struct sight *sight)
{
	uint64_t sum = sight->count;
	size_t i;

	for (i = 0; i < sight->count; i++) {
		add_to(&sum, sight->entries[i].first);
		add_to(&sum, sight->entries[i].last);
		add_to(&sum, sight->entries[i].host);
		add_to(&sum, sight->entries[i].perm);
	}
	for (i = 0; i < 128; i++) {
		add_to(&sum, (uint64_t)sight->answers[i]);
		add_to(&sum, sight->found[i].first);
		add_to(&sum, sight->found[i].last);
		add_to(&sum, sight->found[i].host);
	}
	return sum;
}

static bool takes_out(uint32_t step)
{
	return step % 100 >= 50 && step % 100 < 90;
}

/* Whether the step is within a transaction, in which removals may fail, too. */
static bool is_begun(uint32_t step)
{
	return step % 100 > 30 && step % 100 < 70;
}

/* Half of the time entries come, then they go; some of that is a transaction; now and then all are replaced. */
static int do_one_of_many(struct gpamap_table *table, uint32_t step)
{
	static struct gpamap_entry entries[MANY];
	uint32_t seed = (step ^ step << 16) * 2654435761U;
	uint64_t first = chance(&seed) % 2048 * PAGE;
	struct gpamap_entry entry = {first, first + (1 + chance(&seed) % 3) * PAGE - 1, step * PAGE, step % 4};
	struct gpamap_segment segments[4];
	struct gpamap_reach reach;
	size_t i, count;

	if (step % 100 == 30)
		return gpamap_table_begin(table);
	if (step % 100 == 70)
		return step / 100 % 3 == 2 ? gpamap_table_abort(table) : gpamap_table_commit(table);
	if (step % 100 == 99) {
		for (i = 0; i < MANY * 2 / 3; i++) {
			first = chance(&seed) % 2048 * PAGE;
			entries[i] = (struct gpamap_entry){first, first + PAGE - 1, i * PAGE, 3};
		}
		return gpamap_table_replace(table, entries, i);
	}
	if (!takes_out(step)) {
		(void)gpamap_table_translate(table, first, PAGE, GPAMAP_READ, segments, 4, &reach);
		return gpamap_table_add(table, &entry);
	}
	if (step % 7 == 0)
		return gpamap_table_remove_range(table, first, first + 40 * PAGE);
	count = gpamap_table_entries(table, entries, MANY);
	if (!count)
		return -ENOENT;
	i = chance(&seed) % count;
	return gpamap_table_remove(table, entries[i].first, entries[i].last, entries[i].host);
}

/* A step, with one more allocation that works each time, until it works. Returns how often it did not. */
static size_t insist(struct gpamap_table *table, struct gpamap_reader *reader, struct memory *memory, uint32_t step)
{
	size_t failed;

	look_at_many(table, reader, &sights[0]);
	for (failed = 0;; failed++) {
		memory->fail_at = memory->count + failed;
		if (do_one_of_many(table, step) != -ENOMEM)
			break;
		CHECK(!takes_out(step) || is_begun(step));
		look_at_many(table, reader, &sights[1]);
		CHECK(sum_of(&sights[0]) == sum_of(&sights[1]));
	}
	memory->fail_at = SIZE_MAX;
	look_at_many(table, reader, &sights[1]);
	return failed;
}

static void run_many(uint32_t largest_block, uint32_t retirement, int fails, bool stays_out)
{
	struct memory memory = {.fail_at = SIZE_MAX, .stays_out = stays_out};
	struct gpamap_table_config config = {
		.limit = MANY_LIMIT,
		.retirement = retirement,
		.zalloc = zalloc,
		.release = release,
		.context = &memory,
		.largest_block = largest_block,
	};
	struct gpamap_reader *reader = NULL;
	struct gpamap_table *table = NULL;
	size_t failed = 0, most = 0;
	uint32_t step;

	CHECK(gpamap_table_create(&config, &table) == 0 && gpamap_table_reader_create(table, &reader) == 0);
	for (step = 0; step < MANY_STEPS; step++) {
		if (fails) {
			failed += insist(table, reader, &memory, step);
			CHECK(sum_of(&sights[1]) == sums[step]);
		} else {
			(void)do_one_of_many(table, step);
			look_at_many(table, reader, &sights[1]);
			sums[step] = sum_of(&sights[1]);
		}
		most = sights[1].count > most ? sights[1].count : most;
	}
	CHECK(most >= MANY_LIMIT);
	CHECK(fails ? failed > MANY_STEPS : !failed);
	if (fails)
		printf("up to %zu entries in blocks of %u: %zu allocations failed%s\n", most, largest_block, failed,
		       stays_out ? ", and all after them" : "");
	gpamap_table_destroy(table);
	CHECK(memory.in_use == 0);
}

/* Without any memory, a table is taken apart to its last entry: from the front, in ranges, or here and there. */
static void run_out(uint32_t largest_block, uint32_t kept_apart, int how)
{
	struct memory memory = {.fail_at = SIZE_MAX, .stays_out = true};
	struct gpamap_table_config config = {
		.limit = 4 * MANY,
		.zalloc = zalloc,
		.release = release,
		.context = &memory,
		.largest_block = largest_block,
	};
	struct gpamap_table *table = NULL;
	size_t left = 4 * MANY;
	uint64_t i, at;

	CHECK(gpamap_table_create(&config, &table) == 0);
	for (i = 0; i < 4 * MANY; i++) {
		struct gpamap_entry entry = {i * PAGE, i * PAGE + PAGE - 1, 0, 3};

		CHECK(gpamap_table_add(table, &entry) == 0);
	}
	for (i = 0; i < 4 * MANY; i++) {
		if (i % kept_apart) {
			CHECK(gpamap_table_remove(table, i * PAGE, i * PAGE + PAGE - 1, 0) == 0);
			left--;
		}
	}
	memory.fail_at = memory.count; /* and all from there on */
	for (i = 0; i < 4 * MANY; i++) {
		at = how == 0 ? i : i * 7919 % (4 * MANY);
		if (how == 2 && i % 10 == 0)
			CHECK(gpamap_table_remove_range(table, i * PAGE, (i + 10) * PAGE - 1) == 0);
		else if (how != 2 && at % kept_apart == 0)
			CHECK(gpamap_table_remove(table, at * PAGE, at * PAGE + PAGE - 1, 0) == 0);
		if (how != 2)
			left -= at % kept_apart == 0;
		else if (i % 10 == 0)
			left = (4 * MANY - i - 10 + kept_apart - 1) / kept_apart;
		CHECK(how == 2 || gpamap_table_entries(table, NULL, 0) == left);
	}
	CHECK(gpamap_table_entries(table, NULL, 0) == 0);
	gpamap_table_destroy(table);
	CHECK(memory.in_use == 0);
}

/* Without any memory, a device gives up entries of its IOTLB, the IOTLB, regions, and its table. */
static void test_device_without_memory(void)
{
	static const uint64_t with_iotlb = GPAMAP_ACCESS_PLATFORM;
	struct memory memory = {.fail_at = SIZE_MAX, .stays_out = true};
	struct gpamap_device_config config = {
		.max_regions = MANY,
		.iotlb_limit = MANY,
		.user_limit = (uint64_t)1 << 47,
		.features = GPAMAP_ACCESS_PLATFORM,
		.retirement = GPAMAP_FIFO,
		.zalloc = zalloc,
		.release = release,
		.context = &memory,
	};
	struct gpamap_device *device = NULL;
	uint64_t i;
	int turn;

	CHECK(gpamap_device_create(&config, &device) == 0 && gpamap_device_set_owner(device) == 0);
	CHECK(gpamap_device_set_features(device, &with_iotlb) == 0);
	for (i = 0; i < MANY; i++) {
		CHECK(write_message(device, GPAMAP_UPDATE, i * PAGE, PAGE, NULL) > 0);
		CHECK(gpamap_device_add_region(device, i * PAGE, PAGE, i * PAGE) == 0);
	}
	memory.fail_at = memory.count;
	CHECK(write_message(device, GPAMAP_UPDATE, 0, PAGE, NULL) == -ENOMEM);
	for (turn = 0; turn < 3; turn++) {
		for (i = turn; i < MANY; i += 3) {
			CHECK(write_message(device, GPAMAP_INVALIDATE, i * PAGE, 1, NULL) > 0);
			CHECK(gpamap_device_remove_region(device, i * PAGE, PAGE, i * PAGE) == 0);
		}
		CHECK(gpamap_table_entries(gpamap_device_iotlb(device), NULL, 0) == (size_t)(2 - turn) * MANY / 3);
		CHECK(gpamap_table_entries(gpamap_device_table(device), NULL, 0) == (size_t)(2 - turn) * MANY / 3);
	}
	memory.fail_at = SIZE_MAX;
	for (i = 0; i < MANY; i++) {
		CHECK(write_message(device, GPAMAP_UPDATE, i * PAGE, PAGE, NULL) > 0);
		CHECK(gpamap_device_add_region(device, i * PAGE, PAGE, i * PAGE) == 0);
	}
	memory.fail_at = memory.count;
	CHECK(gpamap_device_set_features(device, &with_iotlb) == 0);
	CHECK(gpamap_table_entries(gpamap_device_iotlb(device), NULL, 0) == 0);
	CHECK(gpamap_device_remove_range(device, 0, MANY * PAGE / 2 - 1) == 0);
	CHECK(gpamap_table_entries(gpamap_device_table(device), NULL, 0) == MANY / 2);
	CHECK(gpamap_device_reset_owner(device) == 0);
	CHECK(gpamap_table_entries(gpamap_device_table(device), NULL, 0) == 0);
	gpamap_device_destroy(device);
	CHECK(memory.in_use == 0);
}

static void test_many(void)
{
	static const uint32_t blocks[] = {1, 4, 0, 40, 512};
	uint32_t retirement, kept_apart;
	size_t i;
	int how;

	for (i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		for (retirement = GPAMAP_REFUSE; retirement <= GPAMAP_LRU; retirement++) {
			if (blocks[i] && retirement != i % 3)
				continue;
			run_many(blocks[i], retirement, 0, false);
			run_many(blocks[i], retirement, 1, false);
			run_many(blocks[i], retirement, 1, true);
		}
		for (kept_apart = 1; kept_apart <= 9; kept_apart++)
			for (how = 0; how < 3; how++)
				run_out(blocks[i], kept_apart, how);
	}
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
	alarm(100); /* a removal that waits for memory has no end */
	test_many();
	test_device_without_memory();
	return 0;
}
