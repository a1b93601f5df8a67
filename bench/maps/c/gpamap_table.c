/* SPDX-License-Identifier: Apache-2.0 */
/* libgpamap's table, vhost-like: entries may overlap, and the leftmost counts. */
#include "gpamap_vhost.h"

#include "counting.h"

#define SEGMENTS 512

struct map {
	struct gpamap_table *table;
	struct gpamap_reader *reader;
	const struct gpamap_table_view *view; /* of the loops that are timed; left where something is changed */
	struct gpamap_segment segments[SEGMENTS];
};

#define HAS_OWN_TRANSLATE
#include "loops.h"

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	struct gpamap_segment found;

	(void)index;
	if (gpamap_table_lookup(map->view, address, GPAMAP_READ, &found))
		return MISS;
	*last = found.last;
	return found.host;
}

/* As far as it comes, like the others; all segments are summed up. */
LOOP uint64_t loop_translate(void *given, struct work *work)
{
	struct map *map = given;
	uint64_t begin = now();
	uint64_t found = 0;
	uint64_t sum = 0;
	size_t i;
	size_t k;

	for (i = 0; i < work->count; i++) {
		struct gpamap_reach reach = {0, 0};

		(void)gpamap_table_segments(map->view, work->addresses[i], work->length, GPAMAP_READ, map->segments,
					    SEGMENTS, &reach);
		for (k = 0; k < reach.segments; k++)
			sum += map->segments[k].host + (map->segments[k].last - map->segments[k].first + 1);
		found += reach.segments;
	}
	work->sum = sum;
	work->found = found;
	return now() - begin;
}

static inline int insert(struct map *map, const struct region *region)
{
	struct gpamap_entry entry = {region->start, region->last, region->host, GPAMAP_READ | GPAMAP_WRITE};

	return gpamap_table_add(map->table, &entry);
}

static inline int erase(struct map *map, const struct region *region)
{
	return gpamap_table_remove(map->table, region->start, region->last, region->host);
}

#define MOVE_BY_INSERT
#include "changes.h"

/* A writer waits for readers that are inside: out before a change, in again after it. */
#define OUTSIDE(call)                                        \
	struct map *map = given;                             \
	uint64_t took;                                       \
                                                             \
	gpamap_leave(map->reader);                           \
	took = call;                                         \
	map->view = gpamap_table_enter(map->reader);         \
	return took

static uint64_t insert_outside(void *given, const struct region *regions, size_t count)
{
	OUTSIDE(loop_insert(given, regions, count));
}

static uint64_t remove_outside(void *given, const struct region *regions, size_t count)
{
	OUTSIDE(loop_remove(given, regions, count));
}

static uint64_t move_outside(void *given, const struct region *regions, const uint64_t *to, size_t count)
{
	OUTSIDE(loop_move(given, regions, to, count));
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

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	struct gpamap_table_config config = {
		.limit = 1 << 20, .retirement = GPAMAP_REFUSE, .zalloc = zalloc, .release = release};
	struct map *map = counted_zalloc(sizeof(*map));

	if (!map || gpamap_table_create(&config, &map->table) ||
	    gpamap_table_reader_create(map->table, &map->reader) || fill(map, regions, order, count))
		return NULL;
	map->view = gpamap_table_enter(map->reader);
	return map;
}

static void destroy_map(void *given)
{
	struct map *map = given;

	gpamap_leave(map->reader);
	gpamap_table_destroy(map->table);
	counted_give(map);
}

static size_t bytes_of(void *map)
{
	return counted_bytes - (map ? sizeof(struct map) : 0); /* room for segments is ours */
}

#include "contestant.h"
CONTESTANT(insert_outside, remove_outside, move_outside, NO_READER)
