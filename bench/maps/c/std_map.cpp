/* SPDX-License-Identifier: Apache-2.0 */
/* std::map by first byte: the last region that does not start after the address. */
#include <map>

#include "counting.hpp"

struct entry {
	uint64_t last;
	uint64_t host;
};

struct map {
	std::map<uint64_t, entry, std::less<uint64_t>, Counting<std::pair<const uint64_t, entry>>> tree;
};

#include "loops.h"

static inline uint64_t find(struct map *map, uint64_t address, uint32_t, uint64_t *last)
{
	auto after = map->tree.upper_bound(address);

	if (after == map->tree.begin())
		return MISS;
	--after;
	if (after->second.last < address)
		return MISS;
	*last = after->second.last;
	return after->second.host + (address - after->first);
}

static inline int insert(struct map *map, const struct region *region)
{
	return map->tree.emplace(region->start, entry{region->last, region->host}).second ? 0 : -1;
}

static inline int erase(struct map *map, const struct region *region)
{
	return map->tree.erase(region->start) == 1 ? 0 : -1;
}

#define MOVE_BY_INSERT
#include "changes.h"

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	auto made = new map;

	return fill(made, regions, order, count) ? nullptr : made;
}

static void destroy_map(void *given)
{
	delete static_cast<map *>(given);
}

static size_t bytes_of(void *)
{
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(CHANGES, READER)
