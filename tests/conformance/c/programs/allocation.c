/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of a long trace fails once: the step reports ENOMEM, the map is as it was, and the step then works.
 * At the end the map is what it is without failures, and all memory has been given back, in the sizes it was asked for.
 *
 * That is done anew for each allocation with few slots; and with hundreds in one go, where each step fails at its first
 * allocation, then at its second, and so on until it works: one failing, or all from there on.
 */
#define _POSIX_C_SOURCE 200809L /* fmemopen */
#include <inttypes.h>
#include <string.h>

#include "failing.h"

#define STEPS 210
#define MOST_SLOTS 512

#define MOST_STEPS 3200
#define MANY 400 /* slots */

/* All that can be seen of a map, as text. */
struct seen {
	size_t slots;
	char text[32768];
};

/* A slot is found in each way there is. */
static void check_slot(const struct gpamap_view *view, const struct gpamap_slot_info *slot)
{
	uint64_t at = slot->first + (slot->last - slot->first) / 2;
	uint32_t space = slot->slot >> 16;
	struct gpamap_guest_range range;
	struct gpamap_slot_info other;
	struct gpamap_segment found;

	CHECK(gpamap_find_slot(view, slot->slot, &other) == 0);
	CHECK(other.first == slot->first && other.last == slot->last && other.host == slot->host);
	CHECK(gpamap_lookup(view, space, at, 0, &found) == 0);
	CHECK(found.last == slot->last && found.host == slot->host + (at - slot->first));
	CHECK(gpamap_next_slot(view, space, at, &other) == 0 && other.slot == slot->slot);
	CHECK(gpamap_lookup_hva(view, slot->host, &range) == 0);
}

static void look(struct gpamap_reader *reader, struct seen *seen)
{
	const struct gpamap_view *view = gpamap_enter(reader);
	struct gpamap_slot_info slots[MOST_SLOTS];
	struct gpamap_guest_range ranges[MOST_SLOTS];
	size_t count = gpamap_slots(view, slots, MOST_SLOTS);
	FILE *text = fmemopen(seen->text, sizeof(seen->text), "w");
	size_t i;

	CHECK(text && count <= MOST_SLOTS && count == gpamap_hva_range(view, 0, UINT64_MAX, ranges, MOST_SLOTS));
	seen->slots = count;
	for (i = 0; i < count; i++) {
		uint64_t first, last, page = 0;

		fprintf(text, "%x %x %" PRIx64 "..%" PRIx64 " %" PRIx64 " log %u:", slots[i].slot, slots[i].flags,
			slots[i].first, slots[i].last, slots[i].host, slots[i].logged);
		for (; gpamap_next_dirty(view, slots[i].slot, page, &first, &last); page = last + 1)
			fprintf(text, " %" PRIu64 "..%" PRIu64, first, last);
		fprintf(text, "; %x %" PRIx64 "..%" PRIx64 "\n", ranges[i].slot, ranges[i].first, ranges[i].last);
		check_slot(view, &slots[i]);
	}
	CHECK(fputc(0, text) == 0 && fclose(text) == 0);
	gpamap_leave(reader);
}

static uint32_t chance(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static int no_copy(void *context, const struct gpamap_segment *piece)
{
	(void)context;
	(void)piece;
	return 0;
}

/* One step of the trace: mostly changes of a few slots, some in a transaction. */
static int do_step(struct gpamap *map, struct gpamap_reader *reader, uint32_t step, uint32_t seed)
{
	uint32_t word = chance(&seed) % 40 + (chance(&seed) % 4 ? 0 : 65536);
	uint32_t flags = chance(&seed) % 2;
	uint64_t gpa = chance(&seed) % 200 * PAGE;
	struct gpamap_enable initially_set = {.option = GPAMAP_MANUAL_PROTECT | GPAMAP_INITIALLY_SET};
	int result;

	if (step == STEPS / 2)
		return gpamap_enable_manual_protect(map, &initially_set);
	if (step % 50 == 20)
		return gpamap_begin(map);
	if (step % 50 == 30)
		return gpamap_commit(map);
	if (step % 50 == 35)
		return gpamap_begin(map);
	if (step % 50 == 45)
		return gpamap_abort(map);
	switch (chance(&seed) % 6) {
	case 0:
		return set(map, word, 0, 0, 0, 0);
	case 1:
		result = gpamap_access(gpamap_enter(reader), gpa, 2 * PAGE, 1, no_copy, NULL);
		gpamap_leave(reader);
		return result;
	default:
		return set(map, word, flags, gpa, 3 * PAGE, 0x10000);
	}
}

static struct seen before, after, reference;

/* The trace with one failing allocation. Returns whether it came to that; the step may do without that memory. */
static bool run_trace(size_t fail_at, uint32_t largest_block, struct seen *end)
{
	struct memory memory = {.fail_at = fail_at};
	struct gpamap_config config = test_config();
	struct gpamap *map = NULL;
	struct gpamap_reader *reader = NULL;
	uint32_t step;
	int failed = 0;

	config.zalloc = zalloc;
	config.release = release;
	config.context = &memory;
	config.largest_block = largest_block;
	if (gpamap_create(&config, &map) == -ENOMEM) {
		CHECK(memory.in_use == 0 && map == NULL);
		failed++;
		CHECK(gpamap_create(&config, &map) == 0);
	}
	if (gpamap_reader_create(map, &reader) == -ENOMEM) {
		failed++;
		CHECK(gpamap_reader_create(map, &reader) == 0);
	}
	for (step = 0; step < STEPS; step++) {
		if (memory.count <= fail_at)
			look(reader, &before);
		if (do_step(map, reader, step, step * 7919) != -ENOMEM)
			continue;
		failed++;
		look(reader, &after);
		CHECK(strcmp(before.text, after.text) == 0);
		CHECK(do_step(map, reader, step, step * 7919) != -ENOMEM);
	}
	look(reader, end);
	CHECK(failed <= 1);
	gpamap_destroy(map);
	CHECK(memory.in_use == 0);
	return memory.count > fail_at;
}

/* ---- Hundreds of slots ---- */

static uint32_t many_steps;
static uint64_t sums[MOST_STEPS]; /* of what is seen after each step, without failures */

static void add_to(uint64_t *sum, uint64_t number)
{
	*sum = (*sum ^ number) * 0x9e3779b97f4a7c15;
	*sum ^= *sum >> 29;
}

/* All that can be seen of a map, as one number. */
static uint64_t sum_of(struct gpamap_reader *reader, size_t *count)
{
	static struct gpamap_slot_info slots[MOST_SLOTS];
	static struct gpamap_guest_range ranges[MOST_SLOTS];
	const struct gpamap_view *view = gpamap_enter(reader);
	uint64_t sum = 0;
	size_t i;

	*count = gpamap_slots(view, slots, MOST_SLOTS);
	CHECK(*count <= MOST_SLOTS && *count == gpamap_hva_range(view, 0, UINT64_MAX, ranges, MOST_SLOTS));
	for (i = 0; i < *count; i++) {
		check_slot(view, &slots[i]);
		add_to(&sum, (uint64_t)slots[i].slot << 32 | slots[i].flags << 1 | slots[i].logged);
		add_to(&sum, slots[i].first);
		add_to(&sum, slots[i].last);
		add_to(&sum, slots[i].host);
		add_to(&sum, ranges[i].slot);
		add_to(&sum, ranges[i].first);
		add_to(&sum, ranges[i].last);
	}
	gpamap_leave(reader);
	return sum;
}

/* A slot comes, moves between its two homes, or goes. There are more and more, and then fewer and fewer. */
static int change_one_of_many(struct gpamap *map, uint32_t step, uint32_t seed)
{
	static const uint32_t comes[] = {95, 70, 20}; /* of 100 */
	uint32_t number = chance(&seed) % MANY;
	uint32_t word = number < MANY / 4 ? 65536 + number : number;
	uint64_t home = (uint64_t)number * 7919 % 1009 * 16;

	if (chance(&seed) % 100 >= comes[step * 3 / many_steps])
		return set(map, word, 0, 0, 0, 0);
	home += chance(&seed) % 2 * 8;
	return set(map, word, chance(&seed) % 2, home * PAGE, (1 + number % 8) * PAGE, (1 + number % 50) * PAGE);
}

static int do_one_of_many(struct gpamap *map, uint32_t step)
{
	if (step % 60 == 20 || step % 60 == 40)
		return gpamap_begin(map);
	if (step % 60 == 32)
		return gpamap_commit(map);
	if (step % 60 == 52)
		return gpamap_abort(map);
	return change_one_of_many(map, step, (step ^ step << 16) * 2654435761U);
}

/* A step, with one more allocation that works each time, until it works. Returns how often it did not. `sum` is what is
 * seen before it. */
static size_t insist(struct gpamap *map, struct gpamap_reader *reader, struct memory *memory, uint32_t step, uint64_t sum)
{
	size_t failed, count;

	for (failed = 0;; failed++) {
		memory->fail_at = memory->count + failed;
		if (do_one_of_many(map, step) != -ENOMEM)
			break;
		CHECK(sum_of(reader, &count) == sum);
	}
	memory->fail_at = SIZE_MAX;
	return failed;
}

static void run_many(uint32_t largest_block, int fails, bool stays_out)
{
	struct memory memory = {.fail_at = SIZE_MAX, .stays_out = stays_out};
	struct gpamap_config config = test_config();
	struct gpamap *map = NULL;
	struct gpamap_reader *reader = NULL;
	size_t failed = 0, most = 0, slots = 0;
	uint64_t sum;
	uint32_t step;

	config.zalloc = zalloc;
	config.release = release;
	config.context = &memory;
	config.largest_block = largest_block;
	CHECK(gpamap_create(&config, &map) == 0 && gpamap_reader_create(map, &reader) == 0);
	sum = sum_of(reader, &slots);
	for (step = 0; step < many_steps; step++) {
		if (fails)
			failed += insist(map, reader, &memory, step, sum);
		else
			(void)do_one_of_many(map, step);
		sum = sum_of(reader, &slots);
		CHECK(!fails || sum == sums[step]);
		sums[step] = sum;
		most = slots > most ? slots : most;
	}
	CHECK(most > 200 && slots < most * 2 / 3);
	CHECK(fails ? failed > 2000 : !failed);
	if (fails)
		printf("up to %zu slots in blocks of %u: %zu allocations failed%s\n", most, largest_block, failed,
		       stays_out ? ", and all after them" : "");
	gpamap_destroy(map);
	CHECK(memory.in_use == 0);
}

/* The short trace, with each of its allocations failing once. */
static void run_few(uint32_t largest_block)
{
	size_t fail_at = 0;

	CHECK(!run_trace(SIZE_MAX, largest_block, &reference));
	CHECK(reference.slots > 5 && strstr(reference.text, "log 1: 0"));
	while (run_trace(fail_at, largest_block, &after)) {
		CHECK(strcmp(after.text, reference.text) == 0);
		fail_at++;
	}
	printf("blocks of %u: %zu allocations failed, one at a time\n", largest_block, fail_at);
	CHECK(fail_at > 100);
}

/* ---- Growth that is taken back ---- */

static void add_slots(struct gpamap *map, uint32_t from, uint32_t to, uint32_t first_number)
{
	for (; from < to; from++)
		CHECK(set(map, 65536 + first_number + from, 0, from * 2 * PAGE, PAGE, from * PAGE) == 0);
}

/* One view has grown for what was then taken back, and another space was edited: now the other view grows, and further. */
static void run_growth(uint32_t slots, uint32_t in_vain, uint32_t more, uint32_t first_number)
{
	struct memory memory = {.fail_at = SIZE_MAX};
	struct gpamap_config config = test_config();
	struct gpamap *map = NULL;
	struct gpamap_reader *reader = NULL;
	uint32_t at;
	size_t seen;

	config.zalloc = zalloc;
	config.release = release;
	config.context = &memory;
	config.largest_block = 2;
	CHECK(gpamap_create(&config, &map) == 0 && gpamap_reader_create(map, &reader) == 0);
	add_slots(map, 0, slots, 0);
	CHECK(gpamap_begin(map) == 0);
	add_slots(map, slots, slots + in_vain, 0);
	CHECK(gpamap_abort(map) == 0);
	CHECK(set(map, 0, 0, 0, PAGE, 0) == 0);
	CHECK(gpamap_begin(map) == 0);
	add_slots(map, slots, slots + more, first_number);
	CHECK(gpamap_commit(map) == 0);
	for (at = slots + more; at < slots + more + 3; at++) {
		add_slots(map, at, at + 1, first_number);
		(void)sum_of(reader, &seen);
		CHECK(seen == at + 2);
	}
	gpamap_destroy(map);
	CHECK(memory.in_use == 0);
}

static void test_growth(void)
{
	uint32_t slots, in_vain, more;

	for (slots = 0; slots < 12; slots += 2)
		for (in_vain = 1; in_vain < 30; in_vain += 4)
			for (more = 1; more < 60; more += 8)
				run_growth(slots, in_vain, more, more % 3 * 200);
}

int main(void)
{
	/* Large blocks need memory less often. */
	static const struct {
		uint32_t largest_block, steps;
	} runs[] = {{1, 1800}, {4, 1800}, {0, 2100}, {512, MOST_STEPS}};
	size_t i;

	for (i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		many_steps = runs[i].steps;
		run_few(runs[i].largest_block);
		run_many(runs[i].largest_block, 0, false);
		run_many(runs[i].largest_block, 1, false);
		run_many(runs[i].largest_block, 1, true);
	}
	test_growth();
	return 0;
}
