#include "device_memory.h"

#include "backings.h"
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define MOST_PAGES 1024
#define RECEIVED_INTO 2 /* the backing from which on packets are received */
#define HEADER_AT 0xf0000 /* in the backing for rings: the bytes that begin a packet */

static const uint8_t packet_start[26] = { [12] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };

static int names_file = -1, paint_file = -1, pagemap = -1;
static uint8_t *rings; /* what the backing for rings is to have */
static enum { SLOTS, NAMES, PAINTED } now = SLOTS;
static int first_painted;

static int file_of(const char *name, uint64_t length)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)length) != 0)
		fatal("no memory file: %s", strerror(errno));
	return fd;
}

static void write_page(int fd, const void *bytes, uint64_t at)
{
	if (pwrite(fd, bytes, PAGE, (off_t)at) != PAGE)
		fatal("a memory file cannot be written: %s", strerror(errno));
}

static void make_files(void)
{
	uint32_t pages = (uint32_t)(backing_size() / PAGE) * DATA_BACKINGS, words[PAGE / 4];

	names_file = file_of("names", (uint64_t)pages * PAGE);
	paint_file = file_of("paint", (uint64_t)pages * PAGE);
	for (uint32_t page = 0; page < pages; page++) {
		for (uint32_t i = 0; i < PAGE / 4; i++)
			words[i] = backing_word(page, 4 * i);
		write_page(names_file, words, (uint64_t)page * PAGE);
		memset(words, PAINT, PAGE);
		write_page(paint_file, words, (uint64_t)page * PAGE);
	}
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		fatal("/proc/self/pagemap: %s", strerror(errno));
	rings = mmap(NULL, backing_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rings == MAP_FAILED)
		fatal("no memory for what is in rings: %s", strerror(errno));
}

/* Map data backings anew, from one on: from a file, or ordinary memory for -1. */
static void map_data(int file, int from_backing)
{
	for (int backing = from_backing; backing < DATA_BACKINGS; backing++) {
		int kind = MAP_PRIVATE | MAP_FIXED | (file < 0 ? MAP_ANONYMOUS : 0);
		off_t from = file < 0 ? 0 : (off_t)(backing_size() * (unsigned)backing);
		void *got = mmap(backing_bytes(backing), backing_size(), PROT_READ | PROT_WRITE, kind, file, from);

		if (got != backing_bytes(backing))
			fatal("a backing cannot be mapped again: %s", strerror(errno));
		madvise(got, backing_size(), MADV_DONTFORK);
		madvise(got, backing_size(), MADV_NOHUGEPAGE);
	}
}

void memory_for_slots(void)
{
	if (now == SLOTS)
		return;
	map_data(-1, 0);
	for (int backing = 0; backing < DATA_BACKINGS; backing++)
		backing_fill_anew(backing);
	now = SLOTS;
}

void paint_data(bool only_received)
{
	first_painted = only_received ? RECEIVED_INTO : 0;
	map_data(paint_file, first_painted);
	now = PAINTED;
}

bool is_painted(uint64_t host)
{
	return now == PAINTED && host >= (uintptr_t)backing_bytes(first_painted);
}

void unpaint_data(void)
{
	map_data(names_file, 0);
	now = NAMES;
}

void memory_for_device(void)
{
	const uint64_t *pages;

	if (names_file < 0)
		make_files();
	if (now != NAMES || written_pages(&pages) > 0)
		unpaint_data();
	if (madvise(backing_bytes(LOG_BACKING), backing_size(), MADV_DONTNEED) != 0)
		fatal("a log cannot be zeroed: %s", strerror(errno));
	ring_zero(backing_bytes(RING_BACKING), backing_size());
	ring_put(backing_bytes(RING_BACKING) + HEADER_AT, packet_start, sizeof(packet_start));
}

/* What the kernel says of the pages of a backing. */
static const uint64_t *page_states(int backing)
{
	static uint64_t states[MOST_PAGES];
	ssize_t length = (ssize_t)(backing_size() / PAGE * sizeof(*states));
	off_t at = (off_t)((uintptr_t)backing_bytes(backing) / PAGE * sizeof(*states));

	if (pread(pagemap, states, (size_t)length, at) != length)
		fatal("/proc/self/pagemap cannot be read: %s", strerror(errno));
	return states;
}

static bool is_there(uint64_t state)
{
	return state >> 62 != 0; /* in memory, or swapped out */
}

static bool is_of_a_file(uint64_t state)
{
	return state >> 61 & 1;
}

size_t written_pages(const uint64_t **pages)
{
	static uint64_t found[DATA_BACKINGS * MOST_PAGES];
	size_t count = 0;

	for (int backing = 0; backing < DATA_BACKINGS; backing++) {
		const uint64_t *states = page_states(backing);

		for (uint32_t page = 0; page < backing_size() / PAGE; page++)
			if (is_there(states[page]) && !is_of_a_file(states[page]))
				found[count++] = (uintptr_t)backing_bytes(backing) + (uint64_t)page * PAGE;
	}
	*pages = found;
	return count;
}

/* Pairs of bit numbers, as many as there are. */
static uint64_t *log_pairs;
static size_t pairs_used, pairs_room;

static void add_bit(uint64_t bit)
{
	if (pairs_used > 0 && log_pairs[2 * pairs_used - 1] + 1 == bit) {
		log_pairs[2 * pairs_used - 1] = bit;
		return;
	}
	if (pairs_used == pairs_room) {
		pairs_room = 2 * pairs_room + 64;
		log_pairs = realloc(log_pairs, pairs_room * 2 * sizeof(*log_pairs));
		if (log_pairs == NULL)
			fatal("no memory for a dirty log");
	}
	log_pairs[2 * pairs_used] = log_pairs[2 * pairs_used + 1] = bit;
	pairs_used++;
}

long take_log(uint64_t base, const uint64_t **pairs)
{
	const uint64_t *states = page_states(LOG_BACKING);
	uint64_t start = (uintptr_t)backing_bytes(LOG_BACKING);
	bool before = false;

	pairs_used = 0;
	for (uint32_t page = 0; page < backing_size() / PAGE; page++) {
		uint64_t *words = (uint64_t *)(void *)(backing_bytes(LOG_BACKING) + (uint64_t)page * PAGE);

		for (uint32_t i = 0; is_there(states[page]) && i < PAGE / 8; i++) {
			if (words[i] == 0)
				continue;
			for (uint32_t bit = 0; bit < 64; bit++) {
				uint64_t host = start + (uint64_t)page * PAGE + i * 8 + bit / 8;

				if (!(words[i] >> bit & 1))
					continue;
				if (host < base)
					before = true;
				else
					add_bit((host - base) * 8 + bit % 8);
			}
			words[i] = 0;
		}
	}
	*pairs = log_pairs;
	return before ? -1 : (long)pairs_used;
}

bool log_is_empty(void)
{
	const uint64_t *pairs;

	return take_log((uintptr_t)backing_bytes(LOG_BACKING), &pairs) == 0;
}

static uint8_t *as_it_is_to_be(const void *at)
{
	return rings + ((const uint8_t *)at - backing_bytes(RING_BACKING));
}

void ring_put(void *at, const void *bytes, size_t length)
{
	memcpy(at, bytes, length);
	memcpy(as_it_is_to_be(at), bytes, length);
}

void ring_is_right(const void *at, size_t length)
{
	memcpy(as_it_is_to_be(at), at, length);
}

void ring_zero(uint8_t *from, size_t length)
{
	if (madvise(from, length, MADV_DONTNEED) != 0 || madvise(as_it_is_to_be(from), length, MADV_DONTNEED) != 0)
		fatal("rings cannot be zeroed: %s", strerror(errno));
}

uint64_t ring_difference(void)
{
	const uint64_t *states = page_states(RING_BACKING);

	for (size_t at = 0; at < backing_size(); at += PAGE) {
		const uint8_t *page = backing_bytes(RING_BACKING) + at;

		if (!is_there(states[at / PAGE]) || memcmp(page, rings + at, PAGE) == 0)
			continue;
		while (*page == *as_it_is_to_be(page))
			page++;
		return (uintptr_t)page;
	}
	return 0;
}

static bool is_in(int backing, uint64_t host, uint64_t length)
{
	uint64_t start = (uintptr_t)backing_bytes(backing);

	return host >= start && length <= backing_size() && host - start <= backing_size() - length;
}

bool is_ring_memory(uint64_t host, uint64_t length)
{
	return is_in(RING_BACKING, host, length);
}

bool is_log_memory(uint64_t host)
{
	return is_in(LOG_BACKING, host, 1);
}
