/* SPDX-License-Identifier: Apache-2.0 */
/* Slots: the map on both sides, and its operations. */
#include <stdlib.h>

#include "slots.h"

struct both both;

/* ---- Readers ---- */

static struct reader *reader_at(uint8_t which)
{
	struct reader *reader = &both.readers[which % READERS];
	int error;

	if (reader->library)
		return reader;
	do
		error = library.reader_create(both.library, &reader->library);
	while (again(error, true));
	if (error)
		differ("no reader: %d", error);
	(void)naive.reader_create(both.naive, &reader->naive);
	return reader;
}

struct views reader_views(uint8_t which)
{
	struct reader *reader = reader_at(which);

	if (!reader->inside) {
		reader->views.library = library.enter(reader->library);
		reader->views.naive = naive.enter(reader->naive);
	}
	return reader->views;
}

void reader_done(uint8_t which)
{
	struct reader *reader = &both.readers[which % READERS];

	if (!reader->inside) {
		library.leave(reader->library);
		naive.leave(reader->naive);
	}
}

static void leave(struct reader *reader)
{
	reader->inside = false;
	library.leave(reader->library);
	naive.leave(reader->naive);
}

static void operate_reader(void)
{
	uint8_t what = take8();
	struct reader *reader = reader_at(what);

	what = what / READERS % 4;
	TELL("reader %s\n", reader->inside ? "leaves" : what == 3 ? "goes" : "enters");
	if (reader->inside) {
		leave(reader);
	} else if (what == 3) {
		library.reader_destroy(both.library, reader->library);
		naive.reader_destroy(both.naive, reader->naive);
		*reader = (struct reader){.inside = false};
	} else {
		(void)reader_views((uint8_t)(reader - both.readers));
		reader->inside = true;
	}
}

/*
 * The library has published and waits. Those inside still see all as it was: the model does not know of the change yet.
 * Then they leave. Who enters now sees what the library has published; that is compared when the model knows of it.
 */
static void wait_for_readers(void *context)
{
	struct reader *last = NULL;
	const struct gpamap_view *view;
	bool before = quiet;
	int i;

	quiet = true;
	if (context != &manner)
		differ("wait is called with a context that is not its own");
	for (i = 0; i < READERS; i++) {
		if (!both.readers[i].inside)
			continue;
		last = &both.readers[i];
		compare_views(last->views);
		leave(last);
	}
	if (!last)
		differ("the library waits, and no reader is inside");
	view = library.enter(last->library);
	both.midway_count = library.slots(view, both.midway, MOST_ENTRIES);
	library.leave(last->library);
	quiet = before;
}

/* After a change was made on both sides. */
static void after_change(void)
{
	struct gpamap_slot_info *now = both.scratch;
	size_t count, i;

	if (both.midway_count != SIZE_MAX) {
		const struct gpamap_view *view = naive.enter(reader_at(0)->naive);

		count = naive.slots(view, now, MOST_ENTRIES);
		same_number("slots, seen while the library waits", both.midway_count, count);
		for (i = 0; i < count; i++)
			same_slot("a slot, seen while the library waits", &both.midway[i], &now[i]);
	}
	both.midway_count = SIZE_MAX;
}

/* ---- Making and ending ---- */

static const struct gpamap_config CONFIGS[] = {
	{.user_slots = 509, .address_spaces = 1, .user_limit = 0x7ffffffff000, .last_gfn = GPAMAP_NO_LAST_GFN},
	{.user_slots = 32764, .address_spaces = 2, .user_limit = 0x7ffffffff000, .last_gfn = 0xfffffff},
	{.user_slots = 65536, .address_spaces = 3, .user_limit = UINT64_MAX, .last_gfn = GPAMAP_NO_LAST_GFN},
	{.user_slots = 32764, .address_spaces = 2, .user_limit = 0x7ffffffff000, .last_gfn = 0xfffffff, .dirty_ring = 1,
	 .smallest_dirty_ring = 0x1000},
};

static bool make(void)
{
	uint8_t which = take8();
	struct gpamap_config config = CONFIGS[which % 4];
	int error;

	memset(&both, 0, sizeof(both) - sizeof(both.midway) - sizeof(both.scratch));
	both.midway_count = SIZE_MAX;
	if (which == 0xff) {
		config.user_slots = take32();
		config.address_spaces = take32();
		config.user_limit = take64();
		config.last_gfn = take64();
		config.dirty_ring = take8() & 1;
		config.smallest_dirty_ring = take32();
	}
	config.largest_block = take_largest_block();
	config.caller = fuzz_caller;
	config.zalloc = heap_zalloc;
	config.release = heap_release;
	config.wait = wait_for_readers;
	config.context = &manner;
	if (which < 0xff && which & 0x80)
		heap_fail(which >> 2 & 7, which & 0x40);
	TELL("map user_slots=0x%" PRIx32 " address_spaces=0x%" PRIx32 " user_limit=0x%" PRIx64 " last_gfn=0x%" PRIx64
	     " dirty_ring=0x%" PRIx32 " smallest_dirty_ring=0x%" PRIx32
	     " largest_block=0x%" PRIx32 "\n",
	     config.user_slots, config.address_spaces, config.user_limit, config.last_gfn, config.dirty_ring,
	     config.smallest_dirty_ring, config.largest_block);
	do {
		count_operation();
		error = library.create(&config, &both.library);
	} while (again(error, true));
	if (gave_up())
		return false;
	same_answer(error, naive.create(&config, &both.naive));
	return !error;
}

static void end(void)
{
	int i;

	for (i = 0; i < READERS; i++)
		if (both.readers[i].inside)
			leave(&both.readers[i]);
	library.destroy(both.library);
	naive.destroy(both.naive);
}

/* ---- Changes ---- */

static bool is_full(void)
{
	return both.count >= MOST_ENTRIES - 1;
}

/* Both sides do it; what is remembered are the borders. */
static void set_region(int version, const struct gpamap_region *region)
{
	const struct gpamap_region *given = manner.unreadable ? NULL : region;
	int error;

	if (is_full() && region->size)
		return;
	TELL("set_region slot=0x%" PRIx32 " flags=0x%" PRIx32 " gpa=0x%" PRIx64 " size=0x%" PRIx64 " hva=0x%" PRIx64
	     " version=0x%x\n",
	     region->slot, region->flags, region->gpa, region->size, region->hva, (unsigned int)version);
	do {
		count_operation();
		error = library.set_region(both.library, version, given);
	} while (again(error, true));
	if (gave_up())
		return;
	same_answer(error, naive.set_region(both.naive, version, given));
	after_change();
	if (error)
		return;
	both.words[both.next_word++ % WORDS] = region->slot;
	if (region->size) {
		remember(region->gpa);
		remember(region->gpa + region->size - 1);
		both.count++; /* or fewer: `compare` counts them again */
	}
}

static uint32_t take_flags(void)
{
	uint8_t flags = take8();

	return flags < 0xf8 ? flags & 3 : take32();
}

uint32_t take_word(void)
{
	uint8_t kind = take8();

	if (kind < 0x60)
		return kind;
	if (kind < 0x80)
		return 65536 + kind % 32;
	if (kind < 0xe0)
		return both.words[kind % WORDS];
	if (kind < 0xf0)
		return take16();
	return take32();
}

static void operate_set_region(void)
{
	struct gpamap_region region = {.slot = take_word()};

	region.flags = take_flags();
	region.gpa = take_number();
	region.size = take_size();
	region.hva = take_number();
	set_region(1, &region);
}

/* A slot as the model's last one of its map or of its transaction has it. */
static bool is_there(uint32_t word, struct gpamap_region *region)
{
	const struct gpamap_view *view = naive.enter(reader_at(0)->naive);
	struct gpamap_slot_info info;

	if (naive.find_slot(view, word, &info))
		return false;
	*region = (struct gpamap_region){info.slot, info.flags, info.first, info.last - info.first + 1, info.host};
	return true;
}

static void operate_change(void)
{
	struct gpamap_region region;
	uint8_t kind = take8();

	if (!is_there(both.words[kind % WORDS], &region))
		return;
	switch (kind / WORDS) {
	case 0:
		region.size = 0;
		break;
	case 1:
		region.gpa = take_number();
		break;
	case 2:
		region.flags ^= 1;
		region.gpa += (uint64_t)(int8_t)take8() * GPAMAP_PAGE_SIZE;
		break;
	default:
		region.flags ^= 1;
	}
	set_region(1, &region);
}

/* A run of slots: made, taken out, or moved. */
static void operate_bulk(void)
{
	uint8_t what = take8();
	uint32_t word = take_word(), count = take_count(), i;
	uint64_t gpa = take_number(), stride = take_size(), hva = take_number();
	uint8_t failing = take8(); /* a power of two: so often memory fails */

	for (i = 0; i < count && !enough_operations(); i++) {
		/* Upwards, downwards, or by turns near and far. */
		uint32_t k = what & 8 ? count - 1 - i : what & 16 ? i * 37 % count : i;
		uint64_t size = what & 32 ? 0x1000 : stride;
		struct gpamap_region region = {.slot = word + k, .flags = what >> 6, .gpa = gpa + k * stride};

		region.size = size;
		region.hva = what & 4 ? hva : hva + k * size;
		if (what % 4 == 3 && is_there(word + k, &region))
			region.gpa += stride;
		if (what % 4 == 2)
			region.size = 0;
		if (failing < 0x40 && i % (1 + failing) == failing)
			heap_fail(i / (1 + failing) % 8, false);
		set_region(1, &region);
		usual_manner();
	}
}

static void operate_transaction(uint8_t what)
{
	static const char *const NAMES[] = {"begin", "commit", "abort"};
	int (*const of_library[])(struct gpamap *) = {library.begin, library.commit, library.abort};
	int (*const of_naive[])(struct gpamap *) = {naive.begin, naive.commit, naive.abort};
	int error;

	TELL("%s\n", NAMES[what]);
	do {
		count_operation();
		error = of_library[what](both.library);
	} while (again(error, what == 0));
	same_answer(error, of_naive[what](both.naive));
	after_change();
	if (!error)
		both.begun = what == 0;
}

/* ---- Operations ---- */

static void operate_manner(uint8_t what)
{
	uint8_t how;

	switch (what) {
	case 0:
		manner.caller = STRANGER;
		TELL("stranger\n");
		break;
	case 1:
		manner.unreadable = true;
		TELL("unreadable\n");
		break;
	case 2:
		manner.no_buffer = true;
		TELL("no_buffer\n");
		break;
	default:
		how = take8();
		TELL("memory fails after %d\n", how & 7);
		heap_fail(how & 7, how & 8);
	}
}

static void operate_other(uint8_t what)
{
	int error;

	switch (what) {
	case 29:
		count_operation();
		TELL("create_guest_memfd\n");
		error = library.create_guest_memfd(both.library);
		same_answer(error, naive.create_guest_memfd(both.naive));
		break;
	case 30: {
		struct gpamap_region region = {.slot = take_word()};
		int version;

		region.flags = take_flags();
		version = (int)take32();
		region.gpa = take_number();
		region.size = take_size();
		region.hva = take_number();
		set_region(version, &region);
		break;
	}
	default:
		TELL("observe\n");
		count_operation();
		compare_views(reader_views(0));
		reader_done(0);
	}
}

static void operate(void)
{
	uint8_t what = take8() % 32;

	if (what >= 25 && what < 29) {
		operate_manner(what - 25);
		return;
	}
	if (what < 4)
		operate_set_region();
	else if (what < 7)
		operate_change();
	else if (what < 9)
		operate_bulk();
	else if (what == 9)
		operate_reader();
	else if (what < 13)
		operate_transaction(what - 10);
	else if (what < 17)
		operate_log(what);
	else if (what < 25)
		operate_question(what);
	else
		operate_other(what);
	usual_manner();
	(void)again(0, true); /* memory that did not fail by now does not */
}

static void compare(void)
{
	size_t count = compare_views(reader_views(0));
	int i;

	reader_done(0);
	for (i = 1; i < READERS; i++)
		if (both.readers[i].inside) {
			TELL("inside\n");
			compare_views(both.readers[i].views);
		}
	if (!both.begun)
		both.count = count;
}

static size_t count(void)
{
	return both.count;
}

const struct subject slots_subject = {"slots", make, operate, compare, count, end};
