/* SPDX-License-Identifier: Apache-2.0 */
/* Dirty logs, page by page: words and bits, against what holds of any one page. Any content, up to PAGES pages. */
#include <stdlib.h>

#include "verify.h"

#include "log.c"

#ifndef PAGES
#define PAGES 130
#endif
#define WORDS ((PAGES + 63) / 64)

void *memory_take(const struct memory *memory, size_t size)
{
	(void)memory;
	return calloc(1, size);
}

void memory_give(const struct memory *memory, void *block, size_t size)
{
	(void)memory;
	CLAIM(size == __CPROVER_OBJECT_SIZE(block), "as much is given back as was taken");
	free(block);
}

/* Any log of 1 .. PAGES pages. */
static struct log *any_log(void)
{
	struct log *log = calloc(1, sizeof(*log) + WORDS * sizeof(uint64_t));
	uint64_t npages = 1 + any_below(PAGES);
	size_t i;

	ASSUME(log);
	log->npages = npages;
	log->nwords = (size_t)((npages + 63) / 64);
	for (i = 0; i < WORDS; i++)
		log->words[i] = nondet_u64();
	for (i = 0; i < WORDS; i++)
		if (npages < 64 * (i + 1)) /* bits past the last page are 0 */
			ASSUME(npages <= 64 * i ? log->words[i] == 0 : log->words[i] >> (npages - 64 * i) == 0);
	return log;
}

static bool bit(const uint64_t *words, uint64_t page)
{
	return words[page / 64] >> page % 64 & 1;
}

static bool is_set(const struct log *log, uint64_t page)
{
	return log->words[page / 64] >> page % 64 & 1;
}

/* How many words: for every number of pages that a slot may have. */
void words(void)
{
	uint64_t pages = nondet_u64();
	wide nwords;

	ASSUME(pages <= GPAMAP_MAX_SLOT_PAGES);
	nwords = words_for(pages);
	CLAIM(nwords * 64 >= pages && (nwords - 1) * 64 < pages, "the least number of words that has a bit for each page");
	WITNESS(pages == GPAMAP_MAX_SLOT_PAGES, "the largest slot");
	WITNESS(pages == 0, "no pages");
}

void begin(void)
{
	uint64_t npages = 1 + any_below(PAGES);
	bool all_set = nondet_bool();
	struct gpamap map = {0};
	struct log *log = log_new(&map, npages, all_set);
	uint64_t page = any_below(WORDS * 64);

	if (log) {
		CLAIM(log->npages == npages && log->nwords == (npages + 63) / 64, "a log of these pages");
		if (page < log->nwords * 64)
			CLAIM(is_set(log, page) == (all_set && page < npages), "all pages, or none, and no bit past the last");
	}
	WITNESS(!log, "out of memory");
	WITNESS(log && all_set && npages == 128, "the last word is full");
	WITNESS(log && all_set && npages == 129, "the last word has one page");
	if (log)
		log_free(&map, log);
}

void mark(void)
{
	struct log *log = any_log();
	uint64_t marked = any_below(log->npages);
	uint64_t page = any_below(log->npages);
	bool before = is_set(log, page);

	log_mark(log, marked);
	CLAIM(is_set(log, page) == (before || page == marked), "one page more, and no other");
	WITNESS(!before && page == marked && page > 64, "a page that was not marked");
	free(log);
}

void take(void)
{
	struct log *log = any_log();
	uint64_t copied[WORDS], taken[WORDS];
	uint64_t page = any_below(log->npages);
	bool before = is_set(log, page);

	log_copy(log, copied);
	CLAIM(bit(copied, page) == before && is_set(log, page) == before, "a copy, and the log stays");
	log_take(log, taken);
	CLAIM(bit(taken, page) == before && !is_set(log, page), "taken, and no page stays");
	WITNESS(before && page > 64, "a page that was marked");
	free(log);
}

/* The pages that gpamap_clear_dirty_log lets through. */
void clear(void)
{
	struct log *log = any_log();
	uint64_t bitmap[WORDS];
	uint64_t first = 64 * any_below(WORDS + 1);
	uint64_t count = nondet_u64();
	uint64_t page = any_below(log->npages);
	bool before = is_set(log, page);
	bool is_named;
	size_t i;

	ASSUME(first <= log->npages && count <= log->npages - first);
	ASSUME(count % 64 == 0 || count == log->npages - first);
	for (i = 0; i < WORDS; i++)
		bitmap[i] = nondet_u64();
	is_named = first <= page && page < first + count && bit(bitmap, page - first);
	log_clear(log, first, count, bitmap);
	CLAIM(is_set(log, page) == (before && !is_named), "the pages that are named, and no others");
	WITNESS(before && is_named && first == 64, "a page of the second word");
	WITNESS(count == 0 && first == log->npages, "nothing, behind the last page");
	free(log);
}

/*
 * The first page from `from` on that is marked, or that is not: a run is one search of each kind. Pages are looked at one
 * by one in the word where the search begins and in that where it ends: the bound is SINGLE pages in each.
 */
#define SINGLE 6

void seek(void)
{
	struct log *log = any_log();
	uint64_t from = any_below(PAGES + 64); /* also behind the last page */
	bool marked = nondet_bool();
	uint64_t uniform = marked ? 0 : UINT64_MAX;
	uint64_t page = any_below(log->npages);
	uint64_t found;
	size_t i;

	ASSUME(from % 64 == 0 || from % 64 >= 64 - SINGLE);
	for (i = 0; i < WORDS; i++)
		ASSUME(log->words[i] == uniform || (log->words[i] ^ uniform) << (64 - SINGLE) ||
		       log->npages <= 64 * i + SINGLE || from / 64 == i);
	ASSUME(from % 64 || from / 64 >= WORDS || (log->words[from / 64] ^ uniform) << (64 - SINGLE));
	found = seek_page(log, from, marked);
	if (found == log->npages)
		CLAIM(page < from || is_set(log, page) != marked, "no page, because there is none");
	else
		CLAIM(from <= found && found < log->npages && is_set(log, found) == marked, "a page from there on");
	if (from <= page && page < found)
		CLAIM(is_set(log, page) != marked, "and none before it");
	WITNESS(from == 63 && found == PAGES - 1, "over a whole word to the last page");
	WITNESS(from == 63 && found == PAGES && log->npages == PAGES, "none, up to the last page");
	WITNESS(from > PAGES && found == log->npages, "behind the last page");
	free(log);
}
