/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of changes, for contestants that define
 *
 *     static inline int insert(struct map *map, const struct region *region);
 *     static inline int erase(struct map *map, const struct region *region);
 *     static inline int move(struct map *map, const struct region *region, uint64_t to);
 *
 * which return 0 when they succeeded. With MOVE_BY_INSERT a move is made of the two others.
 */
#ifndef BENCH_CHANGES_H
#define BENCH_CHANGES_H
#include "locks.h"
#include "loops.h"

#define CHANGE static __attribute__((__noinline__))

static inline int insert(struct map *map, const struct region *region);
static inline int erase(struct map *map, const struct region *region);
static inline int move(struct map *map, const struct region *region, uint64_t to);

#ifdef MOVE_BY_INSERT
static inline int move(struct map *map, const struct region *region, uint64_t to)
{
	struct region moved = *region;

	moved.last = to + (region->last - region->start);
	moved.start = to;
	return erase(map, region) || insert(map, &moved);
}
#endif

CHANGE uint64_t loop_insert(void *map, const struct region *regions, size_t count)
{
	uint64_t begin = now();
	int failed = 0;
	size_t i;

	for (i = 0; i < count; i++)
		failed |= insert((struct map *)map, &regions[i]);
	return failed ? UINT64_MAX : now() - begin;
}

CHANGE uint64_t loop_remove(void *map, const struct region *regions, size_t count)
{
	uint64_t begin = now();
	int failed = 0;
	size_t i;

	for (i = 0; i < count; i++)
		failed |= erase((struct map *)map, &regions[i]);
	return failed ? UINT64_MAX : now() - begin;
}

CHANGE uint64_t loop_move(void *map, const struct region *regions, const uint64_t *to, size_t count)
{
	uint64_t begin = now();
	int failed = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		WRITE_BEGIN();
		failed |= move((struct map *)map, &regions[i], to[i]);
		WRITE_END();
	}
	return failed ? UINT64_MAX : now() - begin;
}

#ifdef READ_BEGIN
LOOP uint64_t locked_read_until(void *map, struct work *work, const volatile int *stop)
{
	uint64_t lookups = 0;
	uint64_t sum = 0;
	uint64_t last;
	size_t i;

	for (i = 0; !*stop; i = i + 1 == work->count ? 0 : i + 1, lookups++) {
		READ_BEGIN();
		sum += find((struct map *)map, work->addresses[i], work->indexes[i], &last);
		READ_END();
	}
	work->sum = sum;
	return lookups;
}
#define READER locked_read_until
#else
#define READER NULL
#endif

/* An empty map, filled in the order that is asked for. */
static inline int fill(struct map *map, const struct region *regions, const uint32_t *order, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (insert(map, &regions[order[i]]))
			return -1;
	return 0;
}
#endif
