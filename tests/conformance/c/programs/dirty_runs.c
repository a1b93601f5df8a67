/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of dirty pages is looked for while the log is taken: at each load of a word in turn, all pages are taken just before
 * it. What is found then is still a run: first <= last, within the slot, of pages that were marked.
 *
 * log.c is compiled once more here, under other names, with loads that can be interrupted.
 */
#include <stdatomic.h>
#include <string.h>

#define log_new interrupted_new
#define log_free interrupted_free
#define log_mark interrupted_mark
#define log_copy interrupted_copy
#define log_take interrupted_take
#define log_clear interrupted_clear
#define log_next_run interrupted_next_run

#include "check.h"
#include "internal.h"

#define MOST 200 /* pages */
#define WORDS ((MOST + 63) / 64)

static struct log *taken; /* of which log */
static unsigned loads_left;
static unsigned loads;

static uint64_t interrupted_load(const _Atomic uint64_t *word)
{
	size_t i;

	loads++;
	if (taken && loads_left-- == 0) {
		for (i = 0; i < taken->nwords; i++)
			atomic_store(&taken->words[i], 0);
		taken = NULL;
	}
	return atomic_fetch_or((_Atomic uint64_t *)(uintptr_t)word, 0);
}

#undef atomic_load_explicit
#define atomic_load_explicit(word, order) interrupted_load(word)

#include "log.c"

/* The pages first .. last are marked; then `at` loads pass, and all are taken. Returns how many loads there were. */
static unsigned look(struct log *log, uint64_t from, uint64_t first, uint64_t last, unsigned at)
{
	uint64_t found_first, found_last, page;
	size_t i;

	for (i = 0; i < log->nwords; i++)
		atomic_store(&log->words[i], 0);
	for (page = first; page <= last; page++)
		log_mark(log, page);
	loads = 0;
	loads_left = at;
	taken = log;
	if (log_next_run(log, from, &found_first, &found_last)) {
		CHECK(from <= found_first && first <= found_first);
		CHECK(found_first <= found_last);
		CHECK(found_last <= last);
		if (taken) /* nothing was taken while it looked */
			CHECK(found_first == (from < first ? first : from) && found_last == last);
	}
	taken = NULL;
	return loads;
}

int main(void)
{
	static const uint64_t sizes[] = {1, 2, 63, 64, 65, 128, 129, MOST};
	static const uint64_t edges[] = {0, 1, 62, 63, 64, 65, 127, 128, 129, MOST - 1};
	struct log *log = calloc(1, sizeof(*log) + WORDS * sizeof(uint64_t));
	unsigned long looks = 0;
	size_t s, from, first, last;

	CHECK(log);
	for (s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		log->npages = sizes[s];
		log->nwords = words_for(sizes[s]);
		for (from = 0; from < sizeof(edges) / sizeof(*edges); from++)
			for (first = 0; first < sizeof(edges) / sizeof(*edges); first++)
				for (last = first; last < sizeof(edges) / sizeof(*edges) && edges[last] < sizes[s]; last++) {
					unsigned at;

					for (at = 0; at < look(log, edges[from], edges[first], edges[last], at); at++)
						looks++;
				}
	}
	printf("%lu interrupted searches\n", looks);
	free(log);
	return 0;
}
