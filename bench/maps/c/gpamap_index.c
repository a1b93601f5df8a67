/* SPDX-License-Identifier: Apache-2.0 */
/* libgpamap's index alone, by the library's internal headers: what its search costs without slots, readers and errors, and
 * what its bytes are: both sides of it, as the library has them, without the slots or mappings that entries stand for. */
#include "index.h"

#include "counting.h"

struct map {
	struct pool pool;
	struct index sides[2];
	int published;
	struct item *items;
};

#include "loops.h"

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	const struct entry *entry = index_at(&map->sides[map->published], address);

	(void)index;
	if (!entry)
		return MISS;
	*last = entry->start + ((const struct item *)entry_item(entry))->span;
	return address + entry->delta;
}

static void *zalloc(void *context, size_t size)
{
	void *memory = calloc(1, size);

	(void)context;
	if (memory)
		counted_bytes += size;
	return memory;
}

static void release(void *context, void *memory, size_t size)
{
	(void)context;
	if (memory)
		counted_bytes -= size;
	free(memory);
}

static int insert(struct map *map, const struct region *region, struct item *item)
{
	struct index *edited = &map->sides[!map->published];
	struct index *other = &map->sides[map->published];
	struct entry entry = {
		.start = region->start,
		.reach = region->last,
		.delta = region->host - region->start,
		.item = (uintptr_t)item,
	};

	item->span = region->last - region->start;
	if (index_insert(&map->pool, edited, other, entry))
		return -1;
	index_seal(&map->pool, edited, other);
	map->published = !map->published;
	index_follow(&map->pool, other, edited);
	pool_free_retired(&map->pool);
	return 0;
}

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	const struct memory memory = {zalloc, release, NULL};
	struct map *map = calloc(1, sizeof(*map));
	size_t i;

	if (!map)
		return NULL;
	map->items = calloc(count, sizeof(*map->items));
	if (!map->items)
		return NULL;
	pool_init(&map->pool, &memory, 0);
	for (i = 0; i < count; i++) {
		map->items[order[i]].rank = i;
		if (insert(map, &regions[order[i]], &map->items[order[i]]))
			return NULL;
	}
	return map;
}

static void destroy_map(void *given)
{
	struct map *map = given;

	index_drop(&map->pool, &map->sides[0], true);
	index_drop(&map->pool, &map->sides[1], false);
	pool_drop(&map->pool);
	free(map->items);
	free(map);
}

static size_t bytes_of(void *map)
{
	(void)map;
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(NO_CHANGES, NO_READER)
