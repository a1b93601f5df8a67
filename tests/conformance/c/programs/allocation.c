/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of a long trace fails once: the step reports ENOMEM, the map is as it was, and the step then works.
 * At the end the map is what it is without failures, and all memory has been given back, in the sizes it was asked for.
 */
#define _POSIX_C_SOURCE 200809L /* fmemopen */
#include <inttypes.h>
#include <string.h>

#include "failing.h"

#define STEPS 160
#define MOST_SLOTS 64

/* All that can be seen of a map, as text. */
struct seen {
	size_t slots;
	char text[32768];
};

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

/* The trace with one failing allocation. Returns whether it came to that. */
static int run_trace(size_t fail_at, struct seen *end)
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
	return failed;
}

int main(void)
{
	size_t fail_at = 0;

	CHECK(run_trace(SIZE_MAX, &reference) == 0);
	CHECK(reference.slots > 5 && strstr(reference.text, "log 1: 0"));
	while (run_trace(fail_at, &after)) {
		CHECK(strcmp(after.text, reference.text) == 0);
		fail_at++;
	}
	printf("%zu allocations failed, one at a time\n", fail_at);
	CHECK(fail_at > 100);
	return 0;
}
