/* SPDX-License-Identifier: Apache-2.0 */
/* GLib's GTree: regions as keys, searched by a function that says on which side of a region an address is. */
#include <glib.h>

#include "counting.h"

struct map {
	GTree *tree;
};

#include "loops.h"

static gint in_order(gconstpointer left, gconstpointer right, gpointer data)
{
	const struct region *a = left;
	const struct region *b = right;

	(void)data;
	return a->start < b->start ? -1 : a->start > b->start;
}

/* GTree asks with the key of a node and what is searched for. */
static gint side_of(gconstpointer key, gconstpointer wanted)
{
	const struct region *region = key;
	uint64_t address = *(const uint64_t *)wanted;

	return address < region->start ? -1 : address > region->last;
}

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	const struct region *region = g_tree_search(map->tree, side_of, &address);

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
	g_tree_insert(map->tree, own, own);
	return 0;
}

static inline int erase(struct map *map, const struct region *region)
{
	return g_tree_remove(map->tree, region) ? 0 : -1;
}

#define MOVE_BY_INSERT
#include "changes.h"

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	struct map *map = counted_zalloc(sizeof(*map));

	if (!map)
		return NULL;
	map->tree = g_tree_new_full(in_order, NULL, counted_give, NULL);
	return fill(map, regions, order, count) ? NULL : map;
}

static void destroy_map(void *given)
{
	struct map *map = given;

	g_tree_destroy(map->tree);
	counted_give(map);
}

/* A node of the tree is GLib's secret and not counted by our allocator: three pointers to keys and children, the value,
 * and what balances it, 40 bytes. */
static size_t bytes_of(void *given)
{
	const struct map *map = given;

	return counted_bytes + (map ? (size_t)g_tree_nnodes(map->tree) * 40 : 0);
}

#include "contestant.h"
CONTESTANT(CHANGES, NO_READER)
