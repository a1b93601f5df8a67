/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of SPDK's memory maps: a table of 2^18 pointers, one for each GiB of 2^48 bytes, to tables of 512 translations, one for
 * each 2 MiB. Only for 2 MiB-aligned regions below 2^48, and without a way to say where an entry ends but page by page. Written
 * from the description of that design.
 */
#include "counting.h"

#define UNIT_SHIFT 21
#define UNITS 512
#define GIBS (1 << 18)
#define ABSENT UINT64_MAX

struct units {
	uint64_t translations[UNITS];
};

struct map {
	struct units *gibs[GIBS];
};

#include "loops.h"

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	uint64_t unit = address >> UNIT_SHIFT;
	const struct units *units;
	uint64_t translation;

	(void)index;
	if (__builtin_expect(unit / UNITS >= GIBS, 0))
		return MISS;
	units = map->gibs[unit / UNITS];
	if (__builtin_expect(!units, 0))
		return MISS;
	translation = units->translations[unit % UNITS];
	if (__builtin_expect(translation == ABSENT, 0))
		return MISS;
	*last = address | ((1 << UNIT_SHIFT) - 1);
	return translation + (address & ((1 << UNIT_SHIFT) - 1));
}

static inline int set(struct map *map, const struct region *region, int present)
{
	uint64_t host = region->host;
	uint64_t unit;

	for (unit = region->start >> UNIT_SHIFT; unit <= region->last >> UNIT_SHIFT; unit++, host += 1 << UNIT_SHIFT) {
		struct units **units = &map->gibs[unit / UNITS];

		if (!*units) {
			*units = counted_take(sizeof(**units));
			if (!*units)
				return -1;
			memset(*units, 0xff, sizeof(**units));
		}
		(*units)->translations[unit % UNITS] = present ? host : ABSENT;
	}
	return 0;
}

static inline int insert(struct map *map, const struct region *region)
{
	return set(map, region, 1);
}

static inline int erase(struct map *map, const struct region *region)
{
	return set(map, region, 0);
}

#define MOVE_BY_INSERT
#include "changes.h"

static const char *cannot;

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	struct map *map;
	size_t i;

	for (i = 0; i < count; i++) {
		if (((regions[i].start | (regions[i].last + 1)) & ((1 << UNIT_SHIFT) - 1)) || regions[i].last >> 48) {
			cannot = "it takes 2 MiB-aligned regions below 2^48 only";
			return NULL;
		}
	}
	map = counted_zalloc(sizeof(*map));
	return map && !fill(map, regions, order, count) ? map : NULL;
}

static void destroy_map(void *given)
{
	struct map *map = given;
	size_t i;

	for (i = 0; i < GIBS; i++)
		counted_give(map->gibs[i]);
	counted_give(map);
}

static size_t bytes_of(void *map)
{
	(void)map;
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(CHANGES, NO_READER)
