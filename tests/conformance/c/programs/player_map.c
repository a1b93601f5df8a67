/* SPDX-License-Identifier: Apache-2.0 */
/* The player's requests for a map of slots. */
#include "player.h"

#define WORD_PAGES 64

static struct gpamap *map;
static struct gpamap_reader *reader;

static void new_map(struct line *line)
{
	struct gpamap_config config = {.caller = who_calls};

	gpamap_destroy(map);
	config.user_slots = take_u32(line);
	config.address_spaces = take_u32(line);
	config.user_limit = take(line);
	config.last_gfn = take(line);
	config.dirty_ring = take_u32(line);
	config.smallest_dirty_ring = take_u32(line);
	CHECK(gpamap_create(&config, &map) == 0);
	CHECK(gpamap_reader_create(map, &reader) == 0);
}

static void end_map(struct line *line)
{
	(void)line;
	gpamap_destroy(map);
	map = NULL;
}

static void set_region(struct line *line)
{
	int version = (int)take_u32(line);
	int readable = take_bool(line);
	struct gpamap_region region = {0};

	region.slot = take_u32(line);
	region.flags = take_u32(line);
	region.gpa = take(line);
	region.size = take(line);
	region.hva = take(line);
	say_error(gpamap_set_region(map, version, readable ? &region : NULL));
}

static void create_guest_memfd(struct line *line)
{
	(void)line;
	say_error(gpamap_create_guest_memfd(map));
}

/* Answers with the runs of 1 bits. */
static void say_runs(const uint64_t *bitmap, uint64_t bits)
{
	uint64_t i, first = 0;
	int inside = 0;

	for (i = 0; i < bits; i++) {
		if (i % WORD_PAGES == 0 && bitmap[i / WORD_PAGES] == (inside ? UINT64_MAX : 0)) {
			i += WORD_PAGES - 1;
			continue;
		}
		if ((int)(bitmap[i / WORD_PAGES] >> i % WORD_PAGES & 1) == inside)
			continue;
		if (inside)
			say(i - 1);
		else
			say(first = i);
		inside = !inside;
	}
	if (inside)
		say(bits - 1);
}

/* In whole words; 0 if there is no such slot. */
static size_t words_of(uint32_t slot)
{
	struct gpamap_slot_info info;
	int error = gpamap_find_slot(gpamap_enter(reader), slot, &info);

	gpamap_leave(reader);
	return error ? 0 : (size_t)(((info.last - info.first) / PAGE + WORD_PAGES) / WORD_PAGES);
}

static void get_dirty_log(struct line *line)
{
	int readable = take_bool(line);
	int buffer = take_bool(line);
	struct gpamap_get_log get = {.slot = take_u32(line)};
	size_t words = words_of(get.slot);
	uint64_t *bitmap = room_for(words, sizeof(*bitmap));
	int error;

	get.bitmap = buffer ? bitmap : NULL;
	error = gpamap_get_dirty_log(map, readable ? &get : NULL);
	say_error(error);
	if (!error) {
		say(words * sizeof(*bitmap));
		say_runs(bitmap, (uint64_t)words * WORD_PAGES);
	}
	free(bitmap);
}

static void clear_dirty_log(struct line *line)
{
	int readable = take_bool(line);
	int buffer = take_bool(line);
	struct gpamap_clear_log clear = {0};
	uint64_t pages, first, last, *bitmap;

	clear.slot = take_u32(line);
	clear.first_page = take(line);
	clear.num_pages = take(line);
	/* More pages than any slot has are refused before a bit is read. */
	pages = clear.num_pages < GPAMAP_MAX_SLOT_PAGES ? clear.num_pages : GPAMAP_MAX_SLOT_PAGES;
	if (left(line) && line->numbers[line->count - 1] >= pages)
		pages = line->numbers[line->count - 1] + 1;
	bitmap = room_for((size_t)(pages / WORD_PAGES + 1), sizeof(*bitmap));
	while (left(line)) {
		first = take(line);
		for (last = take(line); first <= last; first++)
			bitmap[first / WORD_PAGES] |= UINT64_C(1) << first % WORD_PAGES;
	}
	clear.bitmap = buffer ? bitmap : NULL;
	say_error(gpamap_clear_dirty_log(map, readable ? &clear : NULL));
	free(bitmap);
}

static void enable(struct line *line, int (*function)(struct gpamap *, const struct gpamap_enable *))
{
	int readable = take_bool(line);
	struct gpamap_enable request = {0};

	request.flags = take_u32(line);
	request.option = take(line);
	say_error(function(map, readable ? &request : NULL));
}

static void enable_manual_protect(struct line *line)
{
	enable(line, gpamap_enable_manual_protect);
}

static void enable_dirty_ring(struct line *line)
{
	enable(line, gpamap_enable_dirty_ring);
}

static int say_piece(void *context, const struct gpamap_segment *piece)
{
	(void)context;
	say(piece->first);
	say(piece->last);
	say(piece->host);
	return 0;
}

/* The error comes last, after the pieces. */
static void access_pages(struct line *line)
{
	int write = take_bool(line);
	uint64_t gpa = take(line);
	uint64_t length = take(line);

	say_error(gpamap_access(gpamap_enter(reader), gpa, length, write, say_piece, NULL));
	gpamap_leave(reader);
}

static void lookup(struct line *line)
{
	uint32_t space = take_u32(line);
	uint64_t gpa = take(line);
	int write = take_bool(line);
	struct gpamap_segment found;
	int error = gpamap_lookup(gpamap_enter(reader), space, gpa, write, &found);

	gpamap_leave(reader);
	say_error(error);
	if (!error) {
		CHECK(found.first == gpa);
		say(found.host);
		say(found.last);
	}
}

static void say_slot(const struct gpamap_view *view, const struct gpamap_slot_info *info)
{
	uint64_t first, last, from = 0;
	size_t runs = 0;

	say(info->slot);
	say(info->first);
	say(info->last);
	say(info->host);
	say(info->flags);
	say(info->logged);
	while (gpamap_next_dirty(view, info->slot, from, &first, &last)) {
		from = last + 1;
		runs++;
	}
	say(runs);
	for (from = 0; gpamap_next_dirty(view, info->slot, from, &first, &last); from = last + 1) {
		say(first);
		say(last);
	}
}

static void find_slot(struct line *line)
{
	uint32_t slot = take_u32(line);
	const struct gpamap_view *view = gpamap_enter(reader);
	struct gpamap_slot_info info;
	int error = gpamap_find_slot(view, slot, &info);

	say_error(error);
	if (!error)
		say_slot(view, &info);
	gpamap_leave(reader);
}

static void hva_range(struct line *line)
{
	uint64_t first = take(line);
	uint64_t last = take(line);
	const struct gpamap_view *view = gpamap_enter(reader);
	size_t i, count = gpamap_hva_range(view, first, last, NULL, 0);
	struct gpamap_guest_range *ranges = room_for(count, sizeof(*ranges));

	CHECK(gpamap_hva_range(view, first, last, ranges, count) == count);
	for (i = 0; i < count; i++) {
		say(ranges[i].slot);
		say(ranges[i].first);
		say(ranges[i].last);
	}
	gpamap_leave(reader);
	free(ranges);
}

static void observe(struct line *line)
{
	const struct gpamap_view *view = gpamap_enter(reader);
	size_t i, count = gpamap_slots(view, NULL, 0);
	struct gpamap_slot_info *slots = room_for(count, sizeof(*slots));

	(void)line;
	CHECK(gpamap_slots(view, slots, count) == count);
	for (i = 0; i < count; i++)
		say_slot(view, &slots[i]);
	gpamap_leave(reader);
	free(slots);
}

const struct request map_requests[] = {
	{"map", new_map},
	{"end_map", end_map},
	{"set_region", set_region},
	{"create_guest_memfd", create_guest_memfd},
	{"get_dirty_log", get_dirty_log},
	{"clear_dirty_log", clear_dirty_log},
	{"enable_manual_protect", enable_manual_protect},
	{"enable_dirty_ring", enable_dirty_ring},
	{"access", access_pages},
	{"lookup", lookup},
	{"find_slot", find_slot},
	{"hva_range", hva_range},
	{"observe", observe},
	{NULL, NULL},
};
