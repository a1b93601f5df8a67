/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted array and a plain binary search over its starts. */
#include "counting.h"

struct map {
	struct region *regions;
	size_t count;
	size_t room;
};

#include "loops.h"

/* The position of the first region that starts after the address. */
static inline size_t after(const struct map *map, uint64_t address)
{
	size_t low = 0;
	size_t high = map->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->regions[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	size_t position = after(map, address);
	const struct region *region = &map->regions[position - 1];

	(void)index;
	if (!position || region->last < address)
		return MISS;
	*last = region->last;
	return region->host + (address - region->start);
}

static inline int insert(struct map *map, const struct region *region)
{
	size_t position = after(map, region->start);

	if (map->count == map->room) {
		size_t room = map->room ? map->room * 2 : 8;
		struct region *larger = counted_take(room * sizeof(*larger));

		if (!larger)
			return -1;
		if (map->count)
			memcpy(larger, map->regions, map->count * sizeof(*larger));
		counted_give(map->regions);
		map->regions = larger;
		map->room = room;
	}
	memmove(&map->regions[position + 1], &map->regions[position], (map->count - position) * sizeof(*region));
	map->regions[position] = *region;
	map->count++;
	return 0;
}

static inline int erase(struct map *map, const struct region *region)
{
	size_t position = after(map, region->start);

	if (!position || map->regions[position - 1].start != region->start)
		return -1;
	memmove(&map->regions[position - 1], &map->regions[position], (map->count - position) * sizeof(*region));
	map->count--;
	return 0;
}

#define MOVE_BY_INSERT
#include "changes.h"

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	struct map *map = counted_zalloc(sizeof(*map));

	return map && !fill(map, regions, order, count) ? map : NULL;
}

static void destroy_map(void *given)
{
	struct map *map = given;

	counted_give(map->regions);
	counted_give(map);
}

static size_t bytes_of(void *map)
{
	(void)map;
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(CHANGES, NO_READER)
