/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libgpamap's slots. With link-time optimization lookups can be inlined, as the kernel's static inlines are in the kernel;
 * without, they are calls into the shared library. With LOOKUP_AGAIN they go through the entry point that looks at a
 * reader's last hit first.
 */
#include "gpamap.h"

#include "counting.h"

#define SEGMENTS 512

#ifndef LARGEST_BLOCK
#define LARGEST_BLOCK 0
#endif

struct map {
	struct gpamap *map;
	struct gpamap_reader *reader;
	struct gpamap_reader *beside; /* of another thread */
	const struct gpamap_view *view; /* of the loops that are timed alone; left where something is changed */
	struct gpamap_segment segments[SEGMENTS];
};

#define HAS_OWN_TRANSLATE
#include "loops.h"

static inline uint64_t find_in(const struct gpamap_view *view, struct gpamap_reader *reader, uint64_t address, uint64_t *last)
{
	struct gpamap_segment found;

	(void)reader;
#ifdef LOOKUP_AGAIN
	if (gpamap_lookup_again(reader, view, 0, address, 0, &found))
		return MISS;
#else
	if (gpamap_lookup(view, 0, address, 0, &found))
		return MISS;
#endif
	*last = found.last;
	return found.host;
}

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	(void)index;
	return find_in(map->view, map->reader, address, last);
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

		(void)gpamap_translate(map->view, 0, work->addresses[i], work->length, 0, map->segments, SEGMENTS, &reach);
		for (k = 0; k < reach.segments; k++)
			sum += map->segments[k].host + (map->segments[k].last - map->segments[k].first + 1);
		found += reach.segments;
	}
	work->sum = sum;
	work->found = found;
	return now() - begin;
}

static inline int set(struct map *map, uint64_t id, uint64_t gpa, uint64_t size, uint64_t hva)
{
	struct gpamap_region region = {.slot = (uint32_t)id, .gpa = gpa, .size = size, .hva = hva};

	return gpamap_set_region(map->map, 1, &region);
}

static inline int insert(struct map *map, const struct region *region)
{
	return set(map, region->id, region->start, region->last - region->start + 1, region->host);
}

static inline int erase(struct map *map, const struct region *region)
{
	return set(map, region->id, region->start, 0, region->host);
}

static inline int move(struct map *map, const struct region *region, uint64_t to)
{
	return set(map, region->id, to, region->last - region->start + 1, region->host);
}

#include "changes.h"

/* A writer waits for readers that are inside: out before a change, in again after it. */
#define OUTSIDE(call)                                        \
	struct map *map = given;                             \
	uint64_t took;                                       \
                                                             \
	if (map->view)                                       \
		gpamap_leave(map->reader);                   \
	map->view = NULL;                                    \
	took = call;                                         \
	map->view = gpamap_enter(map->reader);               \
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
	struct gpamap_config config = {
		.user_slots = 65536,
		.address_spaces = 1,
		.user_limit = UINT64_MAX - 4095,
		.last_gfn = GPAMAP_NO_LAST_GFN,
		.zalloc = zalloc,
		.release = release,
		.largest_block = LARGEST_BLOCK,
	};
	struct map *map = counted_zalloc(sizeof(*map));

	if (!map || gpamap_create(&config, &map->map) || gpamap_reader_create(map->map, &map->reader) ||
	    gpamap_reader_create(map->map, &map->beside) || fill(map, regions, order, count))
		return NULL;
	map->view = gpamap_enter(map->reader);
	return map;
}

static void destroy_map(void *given)
{
	struct map *map = given;

	gpamap_leave(map->reader);
	gpamap_destroy(map->map);
	counted_give(map);
}

static size_t bytes_of(void *map)
{
	return counted_bytes - (map ? sizeof(struct map) : 0); /* room for segments is ours */
}

/* The reader of another thread: each lookup enters and leaves. */
LOOP uint64_t read_until(void *given, struct work *work, const volatile int *stop)
{
	struct map *map = given;
	uint64_t lookups = 0;
	uint64_t sum = 0;
	uint64_t last;
	size_t i;

	for (i = 0; !*stop; i = i + 1 == work->count ? 0 : i + 1, lookups++) {
		sum += find_in(gpamap_enter(map->beside), map->beside, work->addresses[i], &last);
		gpamap_leave(map->beside);
	}
	work->sum = sum;
	return lookups;
}

#include "contestant.h"
CONTESTANT(insert_outside, remove_outside, move_outside, read_until)
