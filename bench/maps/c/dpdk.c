/* SPDX-License-Identifier: Apache-2.0 */
/* The way of DPDK's vhost library: the regions in an array as they came, searched from the first on. Written from the
 * description of that design. */
#include "counting.h"

struct map {
	uint64_t count;
	uint64_t room;
	struct {
		uint64_t guest;
		uint64_t host;
		uint64_t size;
	} *regions;
};

#include "loops.h"

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	uint64_t i;

	(void)index;
	for (i = 0; i < map->count; i++) {
		if (address - map->regions[i].guest < map->regions[i].size) {
			*last = map->regions[i].guest + map->regions[i].size - 1;
			return map->regions[i].host + (address - map->regions[i].guest);
		}
	}
	return MISS;
}

static inline int insert(struct map *map, const struct region *region)
{
	if (map->count == map->room) {
		size_t room = map->room ? map->room * 2 : 8;
		void *larger = counted_take(room * sizeof(*map->regions));

		if (!larger)
			return -1;
		if (map->count)
			memcpy(larger, map->regions, map->count * sizeof(*map->regions));
		counted_give(map->regions);
		map->regions = larger;
		map->room = room;
	}
	map->regions[map->count].guest = region->start;
	map->regions[map->count].host = region->host;
	map->regions[map->count].size = region->last - region->start + 1;
	map->count++;
	return 0;
}

static inline int erase(struct map *map, const struct region *region)
{
	uint64_t i;

	for (i = 0; i < map->count; i++) {
		if (map->regions[i].guest == region->start) {
			map->regions[i] = map->regions[--map->count];
			return 0;
		}
	}
	return -1;
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
