/* SPDX-License-Identifier: Apache-2.0 */
/* Slots: questions and dirty logs, asked on both sides. */
#include <stdlib.h>

#include "slots.h"

#define MOST_PIECES 300
#define MOST_RUNS 70
#define STOPPED 77
#define MOST_BITS 65536 /* that are set in a bitmap */
#define MOST_PAGES ((uint64_t)1 << 23) /* of a log, by the memory there is */

/* ---- Everything ---- */

void same_slot(const char *what, const struct gpamap_slot_info *of_library, const struct gpamap_slot_info *of_naive)
{
	const struct gpamap_slot_info *a = of_library, *b = of_naive;

	if (a->slot != b->slot || a->flags != b->flags || a->first != b->first || a->last != b->last ||
	    a->host != b->host || a->logged != b->logged)
		differ("%s: slot=0x%" PRIx32 " flags=0x%" PRIx32 " first=0x%" PRIx64 " last=0x%" PRIx64 " host=0x%" PRIx64
		       " logged=%" PRIu32 " of the library, slot=0x%" PRIx32 " flags=0x%" PRIx32 " first=0x%" PRIx64
		       " last=0x%" PRIx64 " host=0x%" PRIx64 " logged=%" PRIu32 " of the model",
		       what, a->slot, a->flags, a->first, a->last, a->host, a->logged, b->slot, b->flags, b->first,
		       b->last, b->host, b->logged);
}

static void tell_slot(const char *what, const struct gpamap_slot_info *slot)
{
	TELL("  %s slot=0x%" PRIx32 " flags=0x%" PRIx32 " first=0x%" PRIx64 " last=0x%" PRIx64 " host=0x%" PRIx64
	     " logged=%" PRIu32 "\n",
	     what, slot->slot, slot->flags, slot->first, slot->last, slot->host, slot->logged);
}

/* The next dirty run on both sides; `to` is where to go on. */
static bool same_run(struct views views, uint32_t slot, uint64_t from, uint64_t *to)
{
	uint64_t a[2] = {7, 7}, b[2] = {7, 7};
	int answer = library.next_dirty(views.library, slot, from, &a[0], &a[1]);

	same_number("whether there is a dirty page", (uint64_t)answer,
		    (uint64_t)naive.next_dirty(views.naive, slot, from, &b[0], &b[1]));
	if (!answer)
		return false;
	TELL("  dirty slot=0x%" PRIx32 " first=0x%" PRIx64 " last=0x%" PRIx64 "\n", slot, a[0], a[1]);
	same_number("the first dirty page", a[0], b[0]);
	same_number("the last dirty page", a[1], b[1]);
	*to = a[1] + 1;
	return true;
}

static void same_range(const struct gpamap_guest_range *a, const struct gpamap_guest_range *b)
{
	TELL("  range slot=0x%" PRIx32 " first=0x%" PRIx64 " last=0x%" PRIx64 "\n", a->slot, a->first, a->last);
	same_number("the slot of a range", a->slot, b->slot);
	same_number("the first guest byte of a range", a->first, b->first);
	same_number("the last guest byte of a range", a->last, b->last);
}

static void same_hva_range(struct views views, uint64_t first, uint64_t last, size_t room)
{
	static struct gpamap_guest_range a[ROOM_FOR_ENTRIES + 1], b[ROOM_FOR_ENTRIES + 1];
	struct gpamap_guest_range untouched;
	size_t count, i;

	memset(&untouched, UNTOUCHED, sizeof(untouched));
	a[room] = untouched;
	count = library.hva_range(views.library, first, last, a, room);
	same_number("number of ranges", count, naive.hva_range(views.naive, first, last, b, ROOM_FOR_ENTRIES));
	for (i = 0; i < count && i < room; i++)
		same_range(&a[i], &b[i]);
	if (memcmp(&a[room], &untouched, sizeof(untouched)))
		differ("a range is stored behind the room for %zu", room);
}

static size_t same_slots(struct views views, size_t room)
{
	static struct gpamap_slot_info a[ROOM_FOR_ENTRIES + 1], b[ROOM_FOR_ENTRIES + 1];
	size_t count, i;

	memset(&a[room], UNTOUCHED, sizeof(a[room]));
	memset(&b[room], UNTOUCHED, sizeof(b[room]));
	count = library.slots(views.library, a, room);
	same_number("number of slots", count, naive.slots(views.naive, b, room));
	for (i = 0; i < count && i < room; i++) {
		uint64_t page = 0;
		int runs = 0;

		tell_slot("slot", &a[i]);
		same_slot("slot", &a[i], &b[i]);
		while (a[i].logged && runs++ < MOST_RUNS && same_run(views, a[i].slot, page, &page))
			;
	}
	if (memcmp(&a[room], &b[room], sizeof(a[room])))
		differ("a slot is stored behind the room for %zu", room);
	return count;
}

size_t compare_views(struct views views)
{
	size_t count = same_slots(views, ROOM_FOR_ENTRIES);

	same_hva_range(views, 0, UINT64_MAX, ROOM_FOR_ENTRIES);
	return count;
}

/* ---- Logs ---- */

static size_t words_of(uint64_t pages)
{
	return (size_t)(pages / 64 + (pages % 64 != 0));
}

/* How many pages the published slot has; 0: there is none. */
static uint64_t pages_of(uint32_t word)
{
	struct gpamap_slot_info info;
	int error = naive.find_slot(reader_views(0).naive, word, &info);

	reader_done(0);
	return error ? 0 : (info.last - info.first + 1) / GPAMAP_PAGE_SIZE;
}

static void operate_get(void)
{
	struct gpamap_get_log request = {.slot = take_word()};
	size_t words = words_of(pages_of(request.slot)), i;
	uint64_t *a, *b;
	int error;

	TELL("get_dirty_log slot=0x%" PRIx32 " words=0x%zx\n", request.slot, words);
	if (words > MOST_PAGES / 64)
		words = 0; /* it has no log */
	a = malloc(words * 8 + 1);
	b = malloc(words * 8 + 1);
	if (!a || !b)
		abort();
	memset(a, UNTOUCHED, words * 8);
	memset(b, UNTOUCHED, words * 8);
	request.bitmap = manner.no_buffer ? NULL : a;
	count_operation();
	error = library.get_dirty_log(both.library, manner.unreadable ? NULL : &request);
	request.bitmap = manner.no_buffer ? NULL : b;
	same_answer(error, naive.get_dirty_log(both.naive, manner.unreadable ? NULL : &request));
	for (i = 0; i < words; i++) {
		if (!error && a[i])
			TELL("  word at=0x%zx is=0x%" PRIx64 "\n", i, a[i]);
		same_number("a word of the log", a[i], b[i]);
	}
	free(a);
	free(b);
}

static uint64_t take_pages(uint64_t rest)
{
	uint8_t kind = take8();

	if (kind < 0x40)
		return rest;
	if (kind < 0x80)
		return rest + kind % 4 - 1;
	return kind < 0xc0 ? (uint64_t)(kind % 64) * 64 : take_number();
}

static void operate_clear(void)
{
	struct gpamap_clear_log request = {.slot = take_word()};
	uint8_t kind = take8();
	uint64_t pages = pages_of(request.slot), page, first, last;
	size_t words;
	uint64_t *bitmap;
	int error;

	request.first_page = kind < 0x40 ? (uint64_t)kind * 64 : kind < 0x80 ? kind : take_number();
	request.num_pages = take_pages(pages - request.first_page);
	first = take32();
	last = take32();
	last = first + (last < MOST_BITS ? last : MOST_BITS);
	words = words_of(request.num_pages < MOST_PAGES ? request.num_pages : MOST_PAGES);
	bitmap = calloc(words + 1, 8);
	if (!bitmap)
		abort();
	TELL("clear_dirty_log slot=0x%" PRIx32 " first_page=0x%" PRIx64 " num_pages=0x%" PRIx64 " first=0x%" PRIx64
	     " last=0x%" PRIx64 "\n",
	     request.slot, request.first_page, request.num_pages, first, last);
	for (page = first; page <= last && page < words * 64; page++)
		bitmap[page / 64] |= UINT64_C(1) << page % 64;
	request.bitmap = manner.no_buffer ? NULL : bitmap;
	count_operation();
	error = library.clear_dirty_log(both.library, manner.unreadable ? NULL : &request);
	same_answer(error, naive.clear_dirty_log(both.naive, manner.unreadable ? NULL : &request));
	free(bitmap);
}

static void operate_enable(bool ring)
{
	struct gpamap_enable request = {.flags = take8() >= 0xf8};
	int error;

	request.option = take_number();
	TELL("%s option=0x%" PRIx64 " flags=0x%" PRIx32 "\n", ring ? "enable_dirty_ring" : "enable_manual_protect",
	     request.option, request.flags);
	count_operation();
	error = (ring ? library.enable_dirty_ring : library.enable_manual_protect)(
		both.library, manner.unreadable ? NULL : &request);
	same_answer(error, (ring ? naive.enable_dirty_ring : naive.enable_manual_protect)(
				   both.naive, manner.unreadable ? NULL : &request));
}

void operate_log(uint8_t what)
{
	if (what == 13)
		operate_get();
	else if (what == 14)
		operate_clear();
	else
		operate_enable(what == 16);
}

/* ---- Questions ---- */

struct pieces {
	size_t count;
	size_t stop; /* at this piece */
	struct gpamap_segment are[MOST_PIECES + 1];
};

static int take_piece(void *context, const struct gpamap_segment *piece)
{
	struct pieces *pieces = context;

	pieces->are[pieces->count++] = *piece;
	return pieces->count > pieces->stop ? STOPPED : 0;
}

static void operate_access(struct views views)
{
	static struct pieces a, b;
	uint64_t gpa = take_number(), length = take_size();
	uint8_t rest = take8();
	size_t i;
	int error;

	a.count = b.count = 0;
	a.stop = b.stop = rest < 0xc0 ? MOST_PIECES : rest % 8;
	TELL("access gpa=0x%" PRIx64 " length=0x%" PRIx64 " write=0x%x stop=0x%zx\n", gpa, length, rest & 1u, a.stop);
	count_operation();
	error = library.access(views.library, gpa, length, rest & 1, take_piece, &a);
	same_answer(error, naive.access(views.naive, gpa, length, rest & 1, take_piece, &b));
	same_number("pieces", a.count, b.count);
	for (i = 0; i < a.count; i++)
		same_segment("piece", &a.are[i], &b.are[i]);
}

/* Asked twice: the second time of the reader, which may know it from before. */
static void same_lookup(struct views views, struct reader *reader, uint32_t space, uint64_t gpa, int write)
{
	struct gpamap_segment a = {7, 7, 7}, b = {7, 7, 7}, c = {7, 7, 7};
	int error;

	TELL("lookup space=0x%" PRIx32 " gpa=0x%" PRIx64 " write=0x%x\n", space, gpa, (unsigned int)write);
	count_operation();
	error = library.lookup(views.library, space, gpa, write, &a);
	same_answer(error, naive.lookup(views.naive, space, gpa, write, &b));
	same_segment("found", &a, &b);
	error = library.lookup_again(reader->library, views.library, space, gpa, write, &c);
	if (error != naive.lookup_again(reader->naive, views.naive, space, gpa, write, &b))
		differ("gpamap_lookup_again answers %d", error);
	same_segment("found again", &c, &b);
}

static uint32_t take_space(void)
{
	uint8_t space = take8();

	return space < 0xf8 ? space % 4 : take32();
}

static void operate_lookups(struct views views, struct reader *reader, bool many)
{
	uint32_t space = take_space();
	uint64_t gpa = take_number();
	int write = take8() & 1;
	uint64_t stride = many ? take_size() : 0;
	uint32_t count = many ? take_count() : 1;

	while (count-- && !enough_operations()) {
		same_lookup(views, reader, space, gpa, write);
		gpa += stride;
	}
}

static void operate_translate(struct views views)
{
	static struct translation a, b;
	uint32_t space = take_space();
	struct asked asked = take_asked();
	int write = asked.access == GPAMAP_WRITE;

	room_for_answer(&asked, &a);
	room_for_answer(&asked, &b);
	TELL("slots_translate space=0x%" PRIx32 " gpa=0x%" PRIx64 " length=0x%" PRIx64 " write=0x%x room=0x%zx\n", space,
	     asked.addr, asked.length, (unsigned int)write, asked.room);
	count_operation();
	a.error = library.translate(views.library, space, asked.addr, asked.length, write, a.segments, asked.room, &a.reach);
	b.error = naive.translate(views.naive, space, asked.addr, asked.length, write, b.segments, asked.room, &b.reach);
	same_translation(&asked, &a, &b);
}

/* All slots from an address on, at most so many. */
static void operate_next(struct views views)
{
	uint32_t space = take_space(), count = take_count();
	uint64_t gpa = take_number();
	int error;

	do {
		struct gpamap_slot_info a, b;

		memset(&a, UNTOUCHED, sizeof(a));
		b = a;
		TELL("next_slot space=0x%" PRIx32 " gpa=0x%" PRIx64 "\n", space, gpa);
		count_operation();
		error = library.next_slot(views.library, space, gpa, &a);
		same_answer(error, naive.next_slot(views.naive, space, gpa, &b));
		same_slot("next", &a, &b);
		if (!error)
			tell_slot("next", &a);
		gpa = a.last + 1;
	} while (!error && --count && gpa && !enough_operations());
}

static void operate_lookup_hva(struct views views)
{
	uint64_t hva = take_number(), stride = take_size();
	uint32_t count = take_count();

	while (count-- && !enough_operations()) {
		struct gpamap_guest_range a, b;
		int error;

		memset(&a, UNTOUCHED, sizeof(a));
		b = a;
		TELL("lookup_hva hva=0x%" PRIx64 "\n", hva);
		count_operation();
		error = library.lookup_hva(views.library, hva, &a);
		same_answer(error, naive.lookup_hva(views.naive, hva, &b));
		same_range(&a, &b);
		hva += stride;
	}
}

static void operate_find(struct views views)
{
	struct gpamap_slot_info a, b;
	uint32_t word = take_word();
	int error;

	memset(&a, UNTOUCHED, sizeof(a));
	b = a;
	TELL("find_slot slot=0x%" PRIx32 "\n", word);
	count_operation();
	error = library.find_slot(views.library, word, &a);
	same_answer(error, naive.find_slot(views.naive, word, &b));
	same_slot("found", &a, &b);
	if (!error)
		tell_slot("found", &a);
}

static void operate_hva_range(struct views views)
{
	uint64_t first = take_number(), last = first + take_size() - 1;
	uint8_t room = take8();

	if (last < first)
		last = UINT64_MAX;
	TELL("hva_range first=0x%" PRIx64 " last=0x%" PRIx64 " room=0x%x\n", first, last, room);
	count_operation();
	same_hva_range(views, first, last, room < 0x80 ? ROOM_FOR_ENTRIES : room % 16);
}

static void operate_next_dirty(struct views views)
{
	uint32_t word = take_word();
	uint8_t kind = take8();
	uint64_t from = kind < 0xc0 ? kind : take_number(), to;

	TELL("next_dirty slot=0x%" PRIx32 " from=0x%" PRIx64 "\n", word, from);
	count_operation();
	(void)same_run(views, word, from, &to);
}

void operate_question(uint8_t what)
{
	uint8_t which = take8();
	struct views views = reader_views(which);
	struct reader *reader = &both.readers[which % READERS];
	uint8_t room;

	switch (what) {
	case 17:
		operate_access(views);
		break;
	case 18:
		operate_lookups(views, reader, false);
		break;
	case 19:
		operate_find(views);
		break;
	case 20:
		room = take8();
		TELL("slots room=0x%x\n", room);
		count_operation();
		(void)same_slots(views, room);
		break;
	case 21:
		operate_hva_range(views);
		break;
	case 22:
		operate_next_dirty(views);
		break;
	case 23:
		operate_lookups(views, reader, true);
		break;
	default:
		if (which < 0x60)
			operate_translate(views);
		else if (which < 0xb0)
			operate_next(views);
		else
			operate_lookup_hva(views);
	}
	reader_done(which);
}
