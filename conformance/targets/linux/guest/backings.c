#include "backings.h"

#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define MOST_PAGES 1024 /* of one backing: flat_open sees to it */

static uint32_t pages_each, pages_all;
static uint64_t base[FLAT_BACKINGS];
static bool marked[DATA_BACKINGS * MOST_PAGES];

/* Byte 3 is fixed, bytes 1 and 2 have the page, bytes 0 and 1 the word: see backings_new_byte. */
static uint32_t word_at(uint32_t page, uint32_t offset)
{
	return 0x5a000000u | page << 12 | (offset & ~3u);
}

static uint8_t byte_at(uint32_t page, uint32_t offset)
{
	return (uint8_t)(word_at(page, offset) >> 8 * (offset & 3));
}

static uint8_t *page_bytes(uint32_t page)
{
	return (uint8_t *)(uintptr_t)(base[page / pages_each] + (uint64_t)(page % pages_each) * PAGE);
}

void backings_map(const struct flat_header *header)
{
	pages_each = header->backing_pages;
	pages_all = pages_each * DATA_BACKINGS;
	for (int backing = 0; backing < FLAT_BACKINGS; backing++) {
		size_t length = (size_t)pages_each * PAGE;
		void *wanted = (void *)(uintptr_t)header->base[backing];
		void *got = mmap(wanted, length, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (got != wanted)
			fatal("backing %c cannot be mapped at %p: %s", "ABCDRL"[backing], wanted, strerror(errno));
		/* A forked child must not make these pages copy-on-write; huge pages would blur what is measured. */
		madvise(got, length, MADV_DONTFORK);
		madvise(got, length, MADV_NOHUGEPAGE);
		base[backing] = header->base[backing];
	}
	for (int backing = 0; backing < DATA_BACKINGS; backing++)
		backing_fill_anew(backing);
}

uint8_t *backing_bytes(int backing)
{
	return (uint8_t *)(uintptr_t)base[backing];
}

uint64_t backing_size(void)
{
	return (uint64_t)pages_each * PAGE;
}

uint32_t backing_word(uint32_t page, uint32_t offset)
{
	return word_at(page, offset);
}

uint8_t backings_byte(uint64_t host)
{
	for (uint32_t backing = 0; backing < DATA_BACKINGS; backing++)
		if (host >= base[backing] && host - base[backing] < backing_size())
			return byte_at(backing * pages_each + (uint32_t)((host - base[backing]) / PAGE), host % PAGE);
	return 0;
}

void backing_fill_anew(int backing)
{
	for (uint32_t page = 0; page < pages_each; page++)
		for (uint32_t offset = 0; offset < PAGE; offset += 4)
			*(uint32_t *)(page_bytes((uint32_t)backing * pages_each + page) + offset) =
				word_at((uint32_t)backing * pages_each + page, offset);
}

uint64_t backings_find_word(uint32_t content)
{
	uint32_t page = (content & 0x00ffffff) >> 12, offset = content & 0xfff;

	if (content >> 24 != 0x5a || offset % 4 != 0 || page >= pages_all)
		return 0;
	return (uint64_t)(uintptr_t)page_bytes(page) + offset;
}

bool backings_hold(uint64_t first, uint64_t length)
{
	for (int backing = 0; backing < DATA_BACKINGS; backing++)
		if (first >= base[backing] && length <= (uint64_t)pages_each * PAGE &&
		    first - base[backing] <= (uint64_t)pages_each * PAGE - length)
			return true;
	return false;
}

uint8_t backings_new_byte(uint32_t page_offset)
{
	/*
	 * Byte 0 and 3 are the same in all pages; byte 1 has the word in its low nibble, which is the same in all; byte 2
	 * is below 0x40. So page 0's byte with these bits turned differs from every page's.
	 */
	return byte_at(0, page_offset) ^ 0x8f;
}

/* The pages to look at: first to last. */
struct pages {
	uint32_t first, last;
};

static struct pages pages_of(uint64_t only)
{
	for (uint32_t backing = 0; only != 0 && backing < DATA_BACKINGS; backing++)
		if (only >= base[backing] && only - base[backing] < (uint64_t)pages_each * PAGE) {
			uint32_t page = backing * pages_each + (uint32_t)((only - base[backing]) / PAGE);

			return (struct pages){ page, page };
		}
	return (struct pages){ 0, pages_all - 1 };
}

struct change backings_changed(uint64_t only, uint32_t page_offset, uint32_t length, const uint8_t *fill)
{
	struct change change = { 0, 0, 0 };
	struct pages pages = pages_of(only);

	for (uint32_t page = pages.first; page <= pages.last; page++) {
		const uint8_t *bytes = page_bytes(page) + page_offset;
		uint32_t mask = 0;

		for (uint32_t i = 0; i < length; i++)
			if (bytes[i] != (fill != NULL ? fill[i] : byte_at(page, page_offset + i)))
				mask |= 1u << i;
		if (mask == 0)
			continue;
		if (change.pages++ == 0) {
			change.mask = mask;
			change.host = (uint64_t)(uintptr_t)bytes + (unsigned)__builtin_ctz(mask);
		}
	}
	return change;
}

void backings_fill(uint64_t only, uint32_t page_offset, uint32_t length, const uint8_t *fill)
{
	struct pages pages = pages_of(only);

	for (uint32_t page = pages.first; page <= pages.last; page++)
		memcpy(page_bytes(page) + page_offset, fill, length);
}

void backings_restore(uint64_t only, uint32_t page_offset, uint32_t length)
{
	struct pages pages = pages_of(only);

	for (uint32_t page = pages.first; page <= pages.last; page++)
		for (uint32_t i = 0; i < length; i++)
			page_bytes(page)[page_offset + i] = byte_at(page, page_offset + i);
}

/* Whether a page is as it should be; without a branch for each word, because an emulated processor runs this. */
static bool page_is_whole(const uint64_t *words, uint32_t page)
{
	uint64_t expected = (uint64_t)word_at(page, 4) << 32 | word_at(page, 0), wrong = 0;

	for (unsigned i = 0; i < PAGE / 8; i += 4, expected += 4 * 0x800000008ull)
		wrong |= (words[i] ^ expected) | (words[i + 1] ^ (expected + 0x800000008ull)) |
			 (words[i + 2] ^ (expected + 2 * 0x800000008ull)) |
			 (words[i + 3] ^ (expected + 3 * 0x800000008ull));
	return wrong == 0;
}

void backings_mark(uint64_t first, uint64_t length)
{
	for (uint32_t backing = 0; backing < DATA_BACKINGS; backing++) {
		uint64_t start = base[backing], end = start + (uint64_t)pages_each * PAGE;
		uint64_t from = first > start ? first : start, to = first + length < end ? first + length : end;

		for (uint64_t host = from; host < to; host += PAGE)
			marked[backing * pages_each + (host - start) / PAGE] = true;
	}
}

uint64_t backings_check(bool everything)
{
	uint64_t first = 0;

	for (uint32_t page = 0; page < pages_all; page++) {
		uint32_t *words = (uint32_t *)(void *)page_bytes(page);
		uint32_t expected = word_at(page, 0);
		bool look = everything || marked[page];

		marked[page] = false;
		if (!look || page_is_whole((const uint64_t *)words, page))
			continue;
		for (uint32_t i = 0; i < PAGE / 4; i++, expected += 4)
			if (words[i] != expected) {
				if (first == 0)
					first = (uint64_t)(uintptr_t)&words[i];
				words[i] = expected;
			}
	}
	return first;
}
