/* SPDX-License-Identifier: Apache-2.0 */
/* A table on both sides. */
#include <stdlib.h>

#include "fuzz.h"

#define RECENT 64
#define READERS 4
#define MOST_REPLACED 2048

static struct gpamap_table *of_library, *of_naive;
static struct gpamap_table_config config;
static struct gpamap_entry recent[RECENT];
static size_t next;
static bool begun; /* a transaction */

/* ---- Readers ---- */

static struct reader {
	struct gpamap_reader *library; /* NULL: not made yet */
	struct gpamap_reader *naive;
	const struct gpamap_table_view *of_library; /* NULL: it is not inside */
	const struct gpamap_table_view *of_naive;
} readers[READERS];

static struct reader *reader_at(uint8_t which)
{
	struct reader *reader = &readers[which % READERS];
	int error;

	if (reader->library)
		return reader;
	do
		error = library.table_reader_create(of_library, &reader->library);
	while (again(error, true));
	if (error)
		differ("no reader: %d", error);
	(void)naive.table_reader_create(of_naive, &reader->naive);
	return reader;
}

/* Whether it entered; it may be inside already. */
static bool enter(struct reader *reader)
{
	if (reader->of_library)
		return false;
	reader->of_library = library.table_enter(reader->library);
	reader->of_naive = naive.table_enter(reader->naive);
	return true;
}

static void leave(struct reader *reader)
{
	library.leave(reader->library);
	naive.leave(reader->naive);
	reader->of_library = NULL;
}

static void same_lookup(const struct reader *reader, uint64_t addr, uint32_t access)
{
	struct gpamap_segment a = {7, 7, 7}, b = {7, 7, 7}, c = {7, 7, 7};
	int error;

	TELL("table_lookup addr=0x%" PRIx64 " access=0x%" PRIx32 "\n", addr, access);
	error = library.table_lookup(reader->of_library, addr, access, &a);
	same_answer(error, naive.table_lookup(reader->of_naive, addr, access, &b));
	same_segment("found", &a, &b);
	if (error != library.table_lookup_again(reader->library, reader->of_library, addr, access, &c))
		differ("gpamap_table_lookup_again answers otherwise");
	same_segment("found again", &c, &b);
}

/* All that a reader can list. */
static void same_list_of(const struct reader *reader, uint64_t first, uint64_t last, size_t room)
{
	TELL("range first=0x%" PRIx64 " last=0x%" PRIx64 " room=0x%zx\n", first, last, room);
	same_entries_in("entry", reader->of_library, reader->of_naive, first, last, room);
}

static void same_segments(const struct reader *reader, const struct asked *asked)
{
	static struct translation a, b;

	room_for_answer(asked, &a);
	room_for_answer(asked, &b);
	TELL("segments addr=0x%" PRIx64 " length=0x%" PRIx64 " access=0x%" PRIx32 " room=0x%zx\n", asked->addr,
	     asked->length, asked->access, asked->room);
	a.error = library.table_segments(reader->of_library, asked->addr, asked->length, asked->access, a.segments,
					 asked->room, &a.reach);
	b.error = naive.table_segments(reader->of_naive, asked->addr, asked->length, asked->access, b.segments,
				       asked->room, &b.reach);
	same_translation(asked, &a, &b);
}

/* What a reader can see of the entries that were added lately, and from the first address on. */
static void same_view(const struct reader *reader)
{
	const struct asked all = {0, UINT64_MAX, GPAMAP_READ, 64};
	size_t i;

	for (i = 0; i < RECENT && i < next; i++) {
		same_lookup(reader, recent[i].first, GPAMAP_READ);
		same_lookup(reader, recent[i].first - 1, GPAMAP_WRITE);
		same_lookup(reader, recent[i].last, GPAMAP_READ);
		same_lookup(reader, recent[i].last + 1, GPAMAP_READ);
	}
	same_segments(reader, &all);
	same_list_of(reader, 0, UINT64_MAX, ROOM_FOR_ENTRIES);
}

/* Those inside see the table as it was before the change: the model does not know of the change yet. */
static void wait_for_readers(void *context)
{
	bool anybody = false;
	bool before = quiet;
	int i;

	quiet = true;
	if (context != &manner)
		differ("wait is called with a context that is not its own");
	for (i = 0; i < READERS; i++) {
		if (!readers[i].of_library)
			continue;
		anybody = true;
		same_view(&readers[i]);
		leave(&readers[i]);
	}
	if (!anybody)
		differ("the library waits, and no reader is inside");
	quiet = before;
}

static void operate_reader(void)
{
	uint8_t what = take8();
	struct reader *reader = reader_at(what);
	struct asked asked;
	bool entered;

	switch (what / READERS % 4) {
	case 0:
		TELL("reader %s\n", reader->of_library ? "leaves" : "enters");
		if (!enter(reader))
			leave(reader);
		break;
	case 1:
		TELL("reader goes\n");
		if (reader->of_library)
			leave(reader);
		library.table_reader_destroy(of_library, reader->library);
		naive.table_reader_destroy(of_naive, reader->naive);
		*reader = (struct reader){.library = NULL};
		break;
	default:
		asked = take_asked();
		entered = enter(reader);
		count_operation();
		if (what & 0x80 && what & 0x40)
			same_list_of(reader, asked.addr, asked.addr + asked.length, asked.room);
		else if (what & 0x80)
			same_segments(reader, &asked);
		else
			same_lookup(reader, asked.addr, asked.access);
		if (entered)
			leave(reader);
	}
}

/* ---- Making and ending ---- */

static bool make(void)
{
	uint8_t which = take8();
	int error;

	memset(readers, 0, sizeof(readers));
	memset(recent, 0, sizeof(recent));
	next = 0;
	begun = false;
	config = (struct gpamap_table_config){.limit = take16() % 4097, .retirement = which % 3};
	if (which == 0xff)
		config.retirement = take32();
	config.largest_block = take_largest_block();
	config.wait = wait_for_readers;
	config.zalloc = heap_zalloc;
	config.release = heap_release;
	config.context = &manner;
	TELL("table limit=0x%zx retirement=0x%" PRIx32 " largest_block=0x%" PRIx32 "\n", config.limit, config.retirement,
	     config.largest_block);
	if (which < 0xff && which & 0x80)
		heap_fail(which >> 2 & 7, which & 0x40);
	do {
		count_operation();
		error = library.table_create(&config, &of_library);
	} while (again(error, true));
	same_answer(error, naive.table_create(&config, &of_naive));
	return !error;
}

static void end(void)
{
	int i;

	for (i = 0; i < READERS; i++)
		if (readers[i].of_library)
			leave(&readers[i]);
	library.table_destroy(of_library);
	naive.table_destroy(of_naive);
}

static size_t count(void)
{
	return naive.table_entries(of_naive, NULL, 0);
}

static void compare(void)
{
	int i;

	same_entries("entry", of_library, of_naive, ROOM_FOR_ENTRIES);
	for (i = 0; i < READERS; i++)
		if (readers[i].of_library) {
			TELL("inside\n");
			same_view(&readers[i]);
		}
}

/* ---- Changes ---- */

static void add(const struct gpamap_entry *entry)
{
	int error;

	TELL("add first=0x%" PRIx64 " last=0x%" PRIx64 " host=0x%" PRIx64 " perm=0x%" PRIx32 "\n", entry->first,
	     entry->last, entry->host, entry->perm);
	do {
		count_operation();
		error = library.table_add(of_library, entry);
	} while (again(error, true));
	same_answer(error, naive.table_add(of_naive, entry));
	recent[next++ % RECENT] = *entry;
	remember(entry->first);
	remember(entry->last);
}

static struct gpamap_entry take_entry(void)
{
	struct gpamap_entry entry = {.first = take_number()};
	uint8_t perm;

	entry.last = entry.first + take_size() - 1;
	entry.host = take_number();
	perm = take8();
	entry.perm = perm < 0xf8 ? perm % 4 : take32();
	return entry;
}

static void remove_entry(const struct gpamap_entry *entry)
{
	int error;

	TELL("remove first=0x%" PRIx64 " last=0x%" PRIx64 " host=0x%" PRIx64 "\n", entry->first, entry->last, entry->host);
	do {
		count_operation();
		error = library.table_remove(of_library, entry->first, entry->last, entry->host);
	} while (again(error, begun));
	same_answer(error, naive.table_remove(of_naive, entry->first, entry->last, entry->host));
}

static void remove_range(uint64_t first, uint64_t last)
{
	int error;

	TELL("remove_range first=0x%" PRIx64 " last=0x%" PRIx64 "\n", first, last);
	do {
		count_operation();
		error = library.table_remove_range(of_library, first, last);
	} while (again(error, begun));
	same_answer(error, naive.table_remove_range(of_naive, first, last));
}

static void operate_replace(void)
{
	uint32_t many = take_count(), i;
	bool run = take8() & 1;
	struct gpamap_entry *entries;
	int error;

	if (many > MOST_REPLACED)
		many = MOST_REPLACED;
	entries = calloc(many + 1, sizeof(*entries));
	if (!entries)
		abort();
	TELL("replace count=0x%" PRIx32 "\n", many - 1);
	for (i = 0; i + 1 < many; i++) {
		entries[i] = i && (run || !bytes_left()) ? entries[i - 1] : take_entry();
		if (i && run) {
			entries[i].first += 0x3000;
			entries[i].last += 0x3000;
			if (entries[i].last < entries[i].first)
				entries[i].first = 0;
		}
		TELL("  with first=0x%" PRIx64 " last=0x%" PRIx64 " host=0x%" PRIx64 " perm=0x%" PRIx32 "\n",
		     entries[i].first, entries[i].last, entries[i].host, entries[i].perm);
		recent[next++ % RECENT] = entries[i];
		remember(entries[i].first);
	}
	do {
		count_operation();
		error = library.table_replace(of_library, entries, many - 1);
	} while (again(error, true));
	same_answer(error, naive.table_replace(of_naive, entries, many - 1));
	free(entries);
}

/* A run of entries: added, taken out one by one, or range by range. */
static void operate_bulk(void)
{
	uint8_t what = take8();
	struct gpamap_entry entry = take_entry();
	uint64_t first = entry.first, last = entry.last, stride = take_size();
	uint32_t many = take_count(), i;
	uint8_t failing = take8();

	for (i = 0; i < many && !enough_operations(); i++) {
		uint32_t k = what & 8 ? many - 1 - i : what & 16 ? i * 37 % many : i;

		entry.first = first + k * stride;
		entry.last = last + k * stride;
		if (failing < 0x40 && i % (1 + failing) == failing)
			heap_fail(i / (1 + failing) % 8, false);
		if (what % 4 == 3)
			remove_range(entry.first, entry.last);
		else if (what % 4 == 2)
			remove_entry(&entry);
		else
			add(&entry);
	}
	(void)again(0, true);
}

/* ---- Transactions ---- */

static void operate_transaction(uint8_t which)
{
	static const char *const NAMES[] = {"begin", "commit", "abort"};
	int (*const here[])(struct gpamap_table *) = {library.table_begin, library.table_commit, library.table_abort};
	int (*const there[])(struct gpamap_table *) = {naive.table_begin, naive.table_commit, naive.table_abort};
	int error;

	TELL("%s\n", NAMES[which]);
	count_operation();
	error = here[which](of_library);
	same_answer(error, there[which](of_naive));
	if (!error)
		begun = !which;
}

/* ---- Translation ---- */

static void translate(const struct asked *asked)
{
	static struct translation a, b;

	room_for_answer(asked, &a);
	room_for_answer(asked, &b);
	TELL("translate addr=0x%" PRIx64 " length=0x%" PRIx64 " access=0x%" PRIx32 " room=0x%zx\n", asked->addr,
	     asked->length, asked->access, asked->room);
	count_operation();
	a.error = library.table_translate(of_library, asked->addr, asked->length, asked->access, a.segments,
					  asked->room, &a.reach);
	b.error = naive.table_translate(of_naive, asked->addr, asked->length, asked->access, b.segments, asked->room,
					&b.reach);
	same_translation(asked, &a, &b);
}

static void operate_translate(bool many)
{
	struct asked asked = take_asked();
	uint64_t stride = many ? take_size() : 0;
	uint32_t times = many ? take_count() : 1;

	while (times-- && !enough_operations()) {
		translate(&asked);
		asked.addr += stride;
	}
}

/* ---- Operations ---- */

static void operate(void)
{
	uint8_t byte = take8(), what = byte % 16;
	struct gpamap_entry entry;
	uint64_t first;

	/* Most transactions end: what is done in one is seen when it is committed. */
	if (byte >= 0xe0 || (begun && byte >= 0xd0)) {
		operate_transaction(begun ? (byte < 0xff) + (byte % 4 == 2) : byte < 0xfd ? 0 : byte % 3);
		return;
	}
	switch (what) {
	case 0:
	case 1:
	case 2:
		entry = take_entry();
		add(&entry);
		break;
	case 3:
		entry = take_entry();
		remove_entry(&entry);
		break;
	case 4:
	case 5:
		remove_entry(&recent[take8() % RECENT]);
		break;
	case 6:
		first = take_number();
		remove_range(first, first + take_size() - 1);
		break;
	case 7:
		operate_replace();
		break;
	case 8:
		operate_bulk();
		break;
	case 9:
		operate_reader();
		break;
	case 10:
	case 11:
	case 12:
		operate_translate(false);
		break;
	case 13:
		operate_translate(true);
		break;
	case 14:
		what = take8();
		TELL("memory fails after %d\n", what & 7);
		heap_fail(what & 7, what & 8);
		return;
	default:
		what = take8();
		TELL("entries room=0x%x\n", what);
		count_operation();
		same_entries("entry", of_library, of_naive, what);
	}
	(void)again(0, true);
}

const struct subject table_subject = {"table", make, operate, compare, count, end};
