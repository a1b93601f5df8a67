/* SPDX-License-Identifier: Apache-2.0 */
/* Dirty logs. A mark follows the write it stands for; taking a word clears it in the same atomic step, so no mark is lost. */
#include "internal.h"

static size_t words_for(uint64_t pages)
{
	return (size_t)((pages + WORD_PAGES - 1) / WORD_PAGES);
}

static size_t log_size(size_t nwords)
{
	return sizeof(struct log) + nwords * sizeof(uint64_t);
}

/* A log of no pages, or of all. NULL: out of memory. */
struct log *log_new(struct gpamap *map, uint64_t npages, bool all_set)
{
	size_t nwords = words_for(npages);
	struct log *log = memory_take(&map->pool.memory, log_size(nwords));
	size_t i;

	if (!log)
		return NULL;
	log->npages = npages;
	log->nwords = nwords;
	if (all_set) {
		for (i = 0; i < nwords; i++)
			atomic_init(&log->words[i], UINT64_MAX);
		if (npages % WORD_PAGES)
			atomic_init(&log->words[nwords - 1], UINT64_MAX >> (WORD_PAGES - npages % WORD_PAGES));
	}
	return log;
}

void log_free(struct gpamap *map, struct log *log)
{
	memory_give(&map->pool.memory, log, log_size(log->nwords));
}

void log_mark(struct log *log, uint64_t page)
{
	atomic_fetch_or_explicit(&log->words[page / WORD_PAGES], UINT64_C(1) << page % WORD_PAGES,
				 memory_order_acq_rel);
}

void log_copy(const struct log *log, uint64_t *bitmap)
{
	size_t i;

	for (i = 0; i < log->nwords; i++)
		bitmap[i] = atomic_load_explicit(&log->words[i], memory_order_acquire);
}

/* Report all pages and forget them. Words that are 0 are not written: the log of a large slot may be memory never touched. */
void log_take(struct log *log, uint64_t *bitmap)
{
	size_t i;

	for (i = 0; i < log->nwords; i++) {
		bitmap[i] = atomic_load_explicit(&log->words[i], memory_order_relaxed);
		if (bitmap[i])
			bitmap[i] = atomic_exchange_explicit(&log->words[i], 0, memory_order_acq_rel);
	}
}

/* first_page is a multiple of 64; the pages lie in the slot. */
void log_clear(struct log *log, uint64_t first_page, uint64_t num_pages, const uint64_t *bitmap)
{
	_Atomic uint64_t *words = &log->words[first_page / WORD_PAGES];
	size_t nwords = words_for(num_pages);
	size_t i;

	for (i = 0; i < nwords; i++)
		if (bitmap[i])
			atomic_fetch_and_explicit(&words[i], ~bitmap[i], memory_order_acq_rel);
}

static bool is_marked(const struct log *log, uint64_t page)
{
	return atomic_load_explicit(&log->words[page / WORD_PAGES], memory_order_acquire) >> page % WORD_PAGES & 1;
}

/* The first page at or after `page` whose bit is `marked`, or npages. */
static uint64_t seek_page(const struct log *log, uint64_t page, bool marked)
{
	uint64_t uniform = marked ? 0 : UINT64_MAX;

	while (page < log->npages && is_marked(log, page) != marked) {
		page++;
		while (page % WORD_PAGES == 0 && page < log->npages &&
		       atomic_load_explicit(&log->words[page / WORD_PAGES], memory_order_acquire) == uniform)
			page += WORD_PAGES;
	}
	return page < log->npages ? page : log->npages;
}

/*
 * The writer may take pages out meanwhile: *first was marked when it was looked at, and is not looked at again, so that the
 * run has at least this page.
 */
bool log_next_run(const struct log *log, uint64_t from, uint64_t *first, uint64_t *last)
{
	*first = seek_page(log, from, true);
	if (*first == log->npages)
		return false;
	*last = seek_page(log, *first + 1, false) - 1;
	return true;
}
