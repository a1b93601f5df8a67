/* SPDX-License-Identifier: Apache-2.0 */
/* A device on both sides. */
#include <stdlib.h>

#include "fuzz.h"

#define RECENT 64
#define MOST_MISSES 512
#define MOST_REGIONS 128

static struct gpamap_device *of_library, *of_naive;
static struct gpamap_memory_region recent[RECENT];
static size_t next;

/* ---- Making, ending, looking ---- */

static const struct gpamap_device_config CONFIGS[] = {
	{.max_regions = 64, .iotlb_limit = 2048, .user_limit = 0x7ffffffff000, .features = 0x33d008000,
	 .retirement = GPAMAP_FIFO},
	{.max_regions = 3, .iotlb_limit = 4, .user_limit = 0x7ffffffff000, .features = 0x33d008000,
	 .retirement = GPAMAP_LRU, .iotlb_follows = 1},
	{.max_regions = 4096, .iotlb_limit = 4000, .user_limit = UINT64_MAX, .features = UINT64_MAX,
	 .retirement = GPAMAP_LRU},
	{.max_regions = 64, .iotlb_limit = 17, .user_limit = 0x100000, .features = 0x33d008000,
	 .retirement = GPAMAP_FIFO, .iotlb_follows = 1},
};

static bool make(void)
{
	uint8_t which = take8();
	struct gpamap_device_config config = CONFIGS[which % 4];
	int error;

	memset(recent, 0, sizeof(recent));
	next = 0;
	if (which == 0xff) {
		config.max_regions = take32() % MOST_ENTRIES;
		config.iotlb_limit = take32() % MOST_ENTRIES;
		config.user_limit = take64();
		config.features = take64();
		config.retirement = take8();
		config.iotlb_follows = take8();
	}
	config.largest_block = take_largest_block();
	config.caller = fuzz_caller;
	config.zalloc = heap_zalloc;
	config.release = heap_release;
	config.context = &manner;
	TELL("device max_regions=0x%" PRIx32 " iotlb_limit=0x%" PRIx32 " user_limit=0x%" PRIx64 " features=0x%" PRIx64
	     " retirement=0x%" PRIx32 " iotlb_follows=0x%" PRIx32 " largest_block=0x%" PRIx32 "\n",
	     config.max_regions, config.iotlb_limit, config.user_limit, config.features, config.retirement,
	     config.iotlb_follows, config.largest_block);
	if (which < 0xff && which & 0x80)
		heap_fail(which >> 2 & 7, which & 0x40);
	do {
		count_operation();
		error = library.device_create(&config, &of_library);
	} while (again(error, true));
	same_answer(error, naive.device_create(&config, &of_naive));
	return !error;
}

static void end(void)
{
	library.device_destroy(of_library);
	naive.device_destroy(of_naive);
}

static size_t entries_of(const struct gpamap_table *table)
{
	return table ? naive.table_entries(table, NULL, 0) : 0;
}

static size_t count(void)
{
	return entries_of(naive.device_table(of_naive)) + entries_of(naive.device_iotlb(of_naive));
}

static void same_table(const char *what, const struct gpamap_table *a, const struct gpamap_table *b)
{
	same_number(what, !a, !b);
	if (a)
		same_entries(what, a, b, ROOM_FOR_ENTRIES);
}

static void same_misses(int read)
{
	static struct gpamap_miss a[MOST_MISSES + 1], b[MOST_MISSES + 1];
	size_t room = naive.device_misses(of_naive, read, NULL, 0), many, i;

	if (room > MOST_MISSES)
		room = MOST_MISSES;
	memset(a, UNTOUCHED, (room + 1) * sizeof(a[0]));
	memset(b, UNTOUCHED, (room + 1) * sizeof(b[0]));
	many = library.device_misses(of_library, read, a, room);
	same_number("number of misses", many, naive.device_misses(of_naive, read, b, room));
	for (i = 0; i < many && i < room; i++)
		TELL("  miss queue=0x%" PRIx32 " access=0x%" PRIx32 " iova=0x%" PRIx64 " framing=0x%" PRIx32 " read=0x%x\n",
		     a[i].queue, a[i].access, a[i].iova, a[i].framing, (unsigned int)read);
	if (!memcmp(a, b, (room + 1) * sizeof(a[0])))
		return;
	for (i = 0; i <= room; i++)
		if (a[i].queue != b[i].queue || a[i].access != b[i].access || a[i].iova != b[i].iova ||
		    a[i].framing != b[i].framing)
			differ("miss %zu, read %d: queue %" PRIu32 ", access %" PRIu32 ", 0x%" PRIx64 ", framing %" PRIu32
			       " of the library, queue %" PRIu32 ", access %" PRIu32 ", 0x%" PRIx64 ", framing %" PRIu32
			       " of the model",
			       i, read, a[i].queue, a[i].access, a[i].iova, a[i].framing, b[i].queue, b[i].access,
			       b[i].iova, b[i].framing);
}

static void compare(void)
{
	same_table("table", library.device_table(of_library), naive.device_table(of_naive));
	same_table("iotlb", library.device_iotlb(of_library), naive.device_iotlb(of_naive));
	same_misses(0);
	same_misses(1);
}

/* ---- Owner and features ---- */

/* Calls that take nothing, or a word. */
static void operate_word(uint8_t what)
{
	static const char *const NAMES[] = {"set_owner", "reset_owner", "set_features", "set_backend_features"};
	static const uint64_t WORDS[] = {0, 0x200000000, 0x100000000, 0x300000000, 2, 1, 3, 0x304000000};
	uint64_t word = 0;
	const uint64_t *given = manner.unreadable ? NULL : &word;
	uint8_t kind;
	int a, b;

	if (what >= 2) {
		kind = take8();
		word = kind < 0xf0 ? WORDS[kind % 8] : take64();
	}
	TELL("%s word=0x%" PRIx64 "\n", NAMES[what], word);
	do {
		count_operation();
		a = what == 0   ? library.device_set_owner(of_library)
		    : what == 1 ? library.device_reset_owner(of_library)
		    : what == 2 ? library.device_set_features(of_library, given)
				: library.device_set_backend_features(of_library, given);
	} while (again(a, false));
	b = what == 0   ? naive.device_set_owner(of_naive)
	    : what == 1 ? naive.device_reset_owner(of_naive)
	    : what == 2 ? naive.device_set_features(of_naive, given)
			: naive.device_set_backend_features(of_naive, given);
	same_answer(a, b);
}

/* ---- The memory table ---- */

static struct gpamap_memory_region take_region(void)
{
	struct gpamap_memory_region region = {.gpa = take_number()};

	region.size = take_size();
	region.hva = take_number();
	recent[next++ % RECENT] = region;
	remember(region.gpa);
	remember(region.gpa + region.size - 1);
	return region;
}

static void operate_set_mem_table(void)
{
	uint8_t many = take8();
	struct gpamap_memory_table table = {.nregions = many % MOST_REGIONS};
	struct gpamap_memory_region *regions = calloc(MOST_REGIONS, sizeof(*regions));
	uint32_t i;
	int error;

	if (!regions)
		abort();
	if (many == 0xff)
		table.padding = take32();
	TELL("set_mem_table nregions=0x%" PRIx32 " padding=0x%" PRIx32 "\n", table.nregions, table.padding);
	for (i = 0; i < table.nregions; i++) {
		regions[i] = take_region();
		TELL("  with gpa=0x%" PRIx64 " size=0x%" PRIx64 " hva=0x%" PRIx64 "\n", regions[i].gpa, regions[i].size,
		     regions[i].hva);
	}
	table.regions = manner.no_buffer ? NULL : regions;
	do {
		count_operation();
		error = library.device_set_mem_table(of_library, manner.unreadable ? NULL : &table);
	} while (again(error, true));
	same_answer(error, naive.device_set_mem_table(of_naive, manner.unreadable ? NULL : &table));
	free(regions);
}

static void add_region(const struct gpamap_memory_region *region)
{
	int error;

	TELL("add_region gpa=0x%" PRIx64 " size=0x%" PRIx64 " hva=0x%" PRIx64 "\n", region->gpa, region->size, region->hva);
	do {
		count_operation();
		error = library.device_add_region(of_library, region->gpa, region->size, region->hva);
	} while (again(error, true));
	same_answer(error, naive.device_add_region(of_naive, region->gpa, region->size, region->hva));
}

static void remove_region(const struct gpamap_memory_region *region)
{
	int error;

	TELL("remove_region gpa=0x%" PRIx64 " size=0x%" PRIx64 " hva=0x%" PRIx64 "\n", region->gpa, region->size,
	     region->hva);
	do {
		count_operation();
		error = library.device_remove_region(of_library, region->gpa, region->size, region->hva);
	} while (again(error, false));
	same_answer(error, naive.device_remove_region(of_naive, region->gpa, region->size, region->hva));
}

static void operate_remove_range(void)
{
	uint64_t first = take_number(), last = first + take_size() - 1;
	int error;

	TELL("device_remove_range first=0x%" PRIx64 " last=0x%" PRIx64 "\n", first, last);
	do {
		count_operation();
		error = library.device_remove_range(of_library, first, last);
	} while (again(error, false));
	same_answer(error, naive.device_remove_range(of_naive, first, last));
}

/* ---- Messages ---- */

struct message {
	uint32_t framing;
	uint32_t space;
	uint64_t iova;
	uint64_t size;
	uint64_t uaddr;
	uint8_t perm;
	uint8_t kind;
	uint8_t padding[6];
};

/* An exact copy of what may be read, so that the sanitizer sees a byte more. */
static void write_message(const struct message *message, size_t length)
{
	size_t there = length < sizeof(*message) ? length : sizeof(*message);
	struct gpamap_woken a, b;
	uint8_t *bytes = malloc(there ? there : 1);
	uint32_t i;
	int error;

	if (!bytes)
		abort();
	memcpy(bytes, message, there);
	memset(&a, UNTOUCHED, sizeof(a));
	memset(&b, UNTOUCHED, sizeof(b));
	TELL("write framing=0x%" PRIx32 " space=0x%" PRIx32 " iova=0x%" PRIx64 " size=0x%" PRIx64 " uaddr=0x%" PRIx64
	     " perm=0x%x kind=0x%x length=0x%zx\n",
	     message->framing, message->space, message->iova, message->size, message->uaddr, message->perm, message->kind,
	     length);
	do {
		count_operation();
		error = library.device_write(of_library, bytes, length, manner.no_buffer ? NULL : &a);
	} while (again(error, message->kind == GPAMAP_UPDATE));
	same_answer(error, naive.device_write(of_naive, bytes, length, manner.no_buffer ? NULL : &b));
	free(bytes);
	if (manner.no_buffer)
		return;
	same_number("queues woken", a.count, b.count);
	for (i = 0; i < a.count && i < GPAMAP_QUEUES; i++) {
		TELL("  woken queue=0x%" PRIx32 "\n", a.queues[i]);
		same_number("a queue woken", a.queues[i], b.queues[i]);
	}
}

static struct message take_message(uint8_t kind)
{
	struct message message = {.framing = 1, .kind = kind};

	message.iova = take_number();
	message.size = take_size();
	if (kind == GPAMAP_UPDATE) {
		message.uaddr = take_number();
		message.perm = take8();
		remember(message.iova);
		remember(message.iova + message.size - 1);
	}
	return message;
}

static void operate_odd_message(void)
{
	uint8_t kind = take8(), length;
	struct message message = take_message(kind % 4);

	message.framing = take8();
	message.space = take8();
	message.uaddr = take_number();
	message.perm = take8();
	if (kind >= 0xf0)
		message.kind = take8();
	if (kind >= 0x80 && kind < 0xf0)
		message.framing = 1 + message.framing % 2;
	length = take8();
	write_message(&message, length < 0x80 ? length : GPAMAP_MESSAGE_BYTES);
}

static void operate_read(void)
{
	uint8_t kind = take8();
	size_t length = kind < 0x80 ? GPAMAP_MESSAGE_BYTES : kind - 0x80;
	uint8_t *a = malloc(length + 1), *b = malloc(length + 1);
	struct message *message = (struct message *)(void *)a;
	int error;

	if (!a || !b)
		abort();
	memset(a, UNTOUCHED, length + 1);
	memset(b, UNTOUCHED, length + 1);
	TELL("read length=0x%zx\n", length);
	do {
		count_operation();
		error = library.device_read(of_library, a, length);
	} while (again(error, false));
	same_answer(error, naive.device_read(of_naive, b, length));
	if (memcmp(a, b, length + 1))
		differ("other bytes were read");
	if (error > 0)
		TELL("  message framing=0x%" PRIx32 " iova=0x%" PRIx64 " perm=0x%x\n", message->framing, message->iova,
		     message->perm);
	free(a);
	free(b);
}

/* ---- Translation ---- */

static void translate(uint32_t queue, const struct asked *asked)
{
	static struct translation a, b;

	/* As many misses as can be compared are enough. */
	if (naive.device_misses(of_naive, 0, NULL, 0) + naive.device_misses(of_naive, 1, NULL, 0) >= MOST_MISSES)
		return;
	room_for_answer(asked, &a);
	room_for_answer(asked, &b);
	TELL("device_translate queue=0x%" PRIx32 " addr=0x%" PRIx64 " length=0x%" PRIx64 " access=0x%" PRIx32
	     " room=0x%zx\n",
	     queue, asked->addr, asked->length, asked->access, asked->room);
	do {
		count_operation();
		a.error = library.device_translate(of_library, queue, asked->addr, asked->length, asked->access,
						   a.segments, asked->room, &a.reach);
	} while (again(a.error, true));
	b.error = naive.device_translate(of_naive, queue, asked->addr, asked->length, asked->access, b.segments,
					 asked->room, &b.reach);
	same_translation(asked, &a, &b);
}

static void operate_translate(bool many)
{
	uint8_t kind = take8();
	uint32_t queue = kind < 0xf8 ? kind % 2 : kind;
	struct asked asked = take_asked();
	uint64_t stride = many ? take_size() : 0;
	uint32_t times = many ? take_count() : 1;

	while (times-- && !enough_operations()) {
		translate(queue, &asked);
		asked.addr += stride;
	}
}

/* ---- Operations ---- */

/* A run of regions or updates, or of what takes them out. */
static void operate_bulk(void)
{
	uint8_t what = take8();
	struct message message = take_message(what & 1 ? GPAMAP_UPDATE : GPAMAP_INVALIDATE);
	uint64_t stride = take_size(), iova = message.iova;
	uint32_t many = take_count(), i;
	uint8_t failing = take8();

	for (i = 0; i < many && !enough_operations(); i++) {
		uint32_t k = what & 8 ? many - 1 - i : what & 16 ? i * 37 % many : i;
		struct gpamap_memory_region region = {iova + k * stride, message.size, message.uaddr};

		if (failing < 0x40 && i % (1 + failing) == failing)
			heap_fail(i / (1 + failing) % 8, false);
		message.iova = region.gpa;
		if (what & 2)
			write_message(&message, GPAMAP_MESSAGE_BYTES);
		else if (what & 1)
			add_region(&region);
		else
			remove_region(&region);
		usual_manner();
	}
}

static void operate_manner(uint8_t what)
{
	uint8_t how;

	if (what == 28) {
		how = take8();
		TELL("memory fails after %d\n", how & 7);
		heap_fail(how & 7, how & 8);
		return;
	}
	TELL("%s\n", what == 25 ? "stranger" : what == 26 ? "unreadable" : "no_buffer");
	if (what == 25)
		manner.caller = STRANGER;
	manner.unreadable |= what == 26;
	manner.no_buffer |= what == 27;
}

static void operate(void)
{
	uint8_t what = take8() % 32;
	struct gpamap_memory_region region;
	struct message message;

	if (what >= 25 && what < 29) {
		operate_manner(what);
		return;
	}
	if (what < 4) {
		operate_word(what);
	} else if (what < 6) {
		operate_set_mem_table();
	} else if (what < 8) {
		region = take_region();
		add_region(&region);
	} else if (what < 10) {
		remove_region(&recent[take8() % RECENT]);
	} else if (what == 10) {
		region = take_region();
		remove_region(&region);
	} else if (what == 11) {
		operate_remove_range();
	} else if (what < 16) {
		message = take_message(what < 15 ? GPAMAP_UPDATE : GPAMAP_INVALIDATE);
		write_message(&message, GPAMAP_MESSAGE_BYTES);
	} else if (what == 16) {
		operate_odd_message();
	} else if (what < 19) {
		operate_read();
	} else if (what < 23) {
		operate_translate(what == 22);
	} else if (what < 25) {
		operate_bulk();
	} else {
		TELL("observe\n");
		count_operation();
		compare();
	}
	usual_manner();
	(void)again(0, true);
}

const struct subject device_subject = {"device", make, operate, compare, count, end};
