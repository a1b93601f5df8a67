/* SPDX-License-Identifier: Apache-2.0 */
/* Misses: lists in the order in which they came. */
#include "table.h"

/* NULL: no memory. */
struct miss *miss_new(const struct memory *memory, struct gpamap_miss seen)
{
	struct miss *miss = memory_take(memory, sizeof(*miss));

	if (miss)
		miss->seen = seen;
	return miss;
}

static void miss_free(const struct memory *memory, struct miss *miss)
{
	memory_give(memory, miss, sizeof(*miss));
}

void misses_add(struct misses *misses, struct miss *miss)
{
	miss->next = NULL;
	if (misses->newest)
		misses->newest->next = miss;
	else
		misses->oldest = miss;
	misses->newest = miss;
}

/* NULL: there is none. */
struct miss *misses_take_oldest(struct misses *misses)
{
	struct miss *miss = misses->oldest;

	if (!miss)
		return NULL;
	misses->oldest = miss->next;
	if (!misses->oldest)
		misses->newest = NULL;
	return miss;
}

static void wake(struct gpamap_woken *woken, uint32_t queue)
{
	uint32_t i;

	for (i = 0; i < woken->count; i++)
		if (woken->queues[i] == queue)
			return;
	woken->queues[woken->count++] = queue;
}

/* Forget the misses whose byte is in first .. last, and wake their queues. */
void misses_answer(const struct memory *memory, struct misses *misses, uint64_t first, uint64_t last,
		   struct gpamap_woken *woken)
{
	struct misses stay = {NULL, NULL};
	struct miss *miss;

	while ((miss = misses_take_oldest(misses))) {
		if (miss->seen.iova >= first && miss->seen.iova <= last) {
			wake(woken, miss->seen.queue);
			miss_free(memory, miss);
		} else {
			misses_add(&stay, miss);
		}
	}
	*misses = stay;
}

void misses_drop(const struct memory *memory, struct misses *misses)
{
	struct miss *miss;

	while ((miss = misses_take_oldest(misses)))
		miss_free(memory, miss);
}
