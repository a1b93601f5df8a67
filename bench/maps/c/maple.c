/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's maple tree, unmodified: ranges of bytes as keys, the region as the entry. */
#include "shim_maple.h"

#include "maple_tree.c"

struct map {
	struct maple_tree tree;
};

#include "loops.h"

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	const struct region *region = mtree_load(&map->tree, address);

	(void)index;
	if (!region)
		return MISS;
	*last = region->last;
	return region->host + (address - region->start);
}

static inline int insert(struct map *map, const struct region *region)
{
	struct region *own = counted_take(sizeof(*own));

	if (!own)
		return -1;
	*own = *region;
	return mtree_insert_range(&map->tree, region->start, region->last, own, GFP_KERNEL);
}

static inline int erase(struct map *map, const struct region *region)
{
	struct region *own = mtree_erase(&map->tree, region->start);

	counted_give(own);
	return own ? 0 : -1;
}

#define MOVE_BY_INSERT
#include "changes.h"

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	struct map *map = counted_zalloc(sizeof(*map));

	if (!maple_node_cache)
		maple_tree_init();
	mt_init_flags(&map->tree, 0);
	return fill(map, regions, order, count) ? NULL : map;
}

static void destroy_map(void *given)
{
	struct map *map = given;
	struct region *region;
	unsigned long at = 0;

	while ((region = mt_find(&map->tree, &at, ULONG_MAX)))
		counted_give(region);
	mtree_destroy(&map->tree);
	counted_give(map);
}

static size_t bytes_of(void *map)
{
	(void)map;
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(CHANGES, NO_READER)
