/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops that are timed. A contestant defines `struct map` and
 *
 *     static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last);
 *
 * (the host address, or MISS; *last is the last guest byte of the entry) and includes this file, so that the compiler sees
 * loop and lookup together: `flatten` makes it inline all that it can see, as it would the kernel's static inlines.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H
#include "abi.h"
#include "clock.h"

#define MISS UINT64_MAX
#define LOOP static __attribute__((__noinline__, __flatten__))

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last);

/* Lookups that do not depend on each other. */
LOOP uint64_t loop_throughput(void *map, struct work *work)
{
	const uint64_t *addresses = work->addresses;
	const uint32_t *indexes = work->indexes;
	size_t count = work->count;
	uint64_t begin = now();
	uint64_t sum = 0;
	uint64_t last;
	size_t i;

	for (i = 0; i < count; i++)
		sum += find((struct map *)map, addresses[i], indexes[i], &last);
	work->sum = sum;
	return now() - begin;
}

/* Each address depends on the answer before. */
LOOP uint64_t loop_latency(void *map, struct work *work)
{
	const uint64_t *addresses = work->addresses;
	const uint32_t *indexes = work->indexes;
	uint64_t zero = work->zero;
	size_t count = work->count;
	uint64_t begin = now();
	uint64_t answer = 0;
	uint64_t last;
	size_t i;

	for (i = 0; i < count; i++) {
		uint64_t nothing = answer & zero;

		answer = find((struct map *)map, addresses[i] + nothing, indexes[i] + (uint32_t)nothing, &last);
	}
	work->sum = answer;
	return now() - begin;
}

LOOP uint64_t loop_answer(void *map, struct work *work)
{
	uint64_t begin = now();
	uint64_t last;
	size_t i;

	for (i = 0; i < work->count; i++)
		work->answers[i] = find((struct map *)map, work->addresses[i], work->indexes[i], &last);
	return now() - begin;
}

#ifndef HAS_OWN_TRANSLATE
/* `length` bytes from each address on, as far as they are there: one search for each segment, as vhost does it. */
LOOP uint64_t loop_translate(void *map, struct work *work)
{
	uint64_t begin = now();
	uint64_t found = 0;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < work->count; i++) {
		uint64_t address = work->addresses[i];
		uint64_t left = work->length;
		uint32_t index = work->indexes[i];

		while (left) {
			uint64_t last = 0;
			uint64_t host = find((struct map *)map, address, index, &last);
			uint64_t size;

			if (host == MISS)
				break;
			size = last - address + 1;
			if (size > left)
				size = left;
			sum += host + size;
			found++;
			address += size;
			left -= size;
			index++;
		}
	}
	work->sum = sum;
	work->found = found;
	return now() - begin;
}
#endif

#endif
