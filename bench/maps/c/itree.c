/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick: vhost's IOTLB, the kernel's own file with the kernel's interval tree in it, unmodified. */
#include "counting.h"

/* What the file asks of the kernel's allocator is counted; the rest is in the shim that is included before this file. */
#undef kmalloc
#undef kzalloc
#undef kfree
#define kmalloc(size, flags) counted_take(size)
#define kzalloc(size, flags) counted_zalloc(size)
#define kfree(pointer) counted_give((void *)(pointer))
#include "iotlb.c"

struct map {
	struct vhost_iotlb iotlb;
};

#include "loops.h"

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	const struct vhost_iotlb_map *entry = vhost_iotlb_itree_first(&map->iotlb, address, address);

	(void)index;
	if (!entry)
		return MISS;
	*last = entry->last;
	return entry->addr + (address - entry->start);
}

static inline int insert(struct map *map, const struct region *region)
{
	return vhost_iotlb_add_range(&map->iotlb, region->start, region->last, region->host, VHOST_MAP_RW);
}

static inline int erase(struct map *map, const struct region *region)
{
	vhost_iotlb_del_range(&map->iotlb, region->start, region->last);
	return 0;
}

#define MOVE_BY_INSERT
#include "changes.h"

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	struct map *map = counted_zalloc(sizeof(*map));

	if (!map)
		return NULL;
	vhost_iotlb_init(&map->iotlb, 1 << 20, 0);
	return fill(map, regions, order, count) ? NULL : map;
}

static void destroy_map(void *given)
{
	struct map *map = given;

	vhost_iotlb_reset(&map->iotlb);
	counted_give(map);
}

static size_t bytes_of(void *map)
{
	(void)map;
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(CHANGES, READER)
