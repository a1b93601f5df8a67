/* SPDX-License-Identifier: Apache-2.0 */
/* Making and freeing a map. */
#include <stdlib.h>

#include "internal.h"

#define LARGEST_COUNT 65536 /* half a slot word */

static void *libc_zalloc(void *context, size_t size)
{
	(void)context;
	return calloc(1, size);
}

static void libc_release(void *context, void *memory, size_t size)
{
	(void)context;
	(void)size;
	free(memory);
}

void *map_alloc(struct gpamap *map, size_t size)
{
	return map->config.zalloc(map->config.context, size);
}

void map_free(struct gpamap *map, void *memory, size_t size)
{
	map->config.release(map->config.context, memory, size);
}

bool is_owner(const struct gpamap *map)
{
	return !map->config.caller || map->config.caller(map->config.context) == map->owner;
}

static bool is_bad(const struct gpamap_config *config)
{
	return config->user_slots < 1 || config->user_slots > LARGEST_COUNT || config->address_spaces < 1 ||
	       config->address_spaces > LARGEST_COUNT || !config->zalloc != !config->release;
}

int gpamap_create(const struct gpamap_config *config, struct gpamap **map)
{
	struct gpamap_config full = *config;
	struct gpamap *new;

	if (is_bad(config))
		return -EINVAL;
	if (!full.zalloc) {
		full.zalloc = libc_zalloc;
		full.release = libc_release;
	}
	new = full.zalloc(full.context, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->config = full;
	new->owner = full.caller ? full.caller(full.context) : 0;
	new->views[0] = view_new(new);
	new->views[1] = view_new(new);
	if (!new->views[0] || !new->views[1]) {
		gpamap_destroy(new);
		return -ENOMEM;
	}
	atomic_init(&new->published, new->views[0]);
	*map = new;
	return 0;
}

/* The two views hold the same slots: they are freed once. */
static void free_slots(struct gpamap *map)
{
	const struct index *all = &map->views[0]->by_word;
	size_t i;

	for (i = 0; i < all->count; i++) {
		struct slot *slot = all->entries[i].slot;

		log_free(map, slot->log);
		map_free(map, slot, sizeof(*slot));
	}
}

void gpamap_destroy(struct gpamap *map)
{
	int i;

	if (!map)
		return;
	if (map->begun) {
		map->config.caller = NULL; /* whoever destroys it may take changes back */
		(void)gpamap_abort(map);
	}
	while (map->readers)
		gpamap_reader_destroy(map, map->readers);
	if (map->views[0] && map->views[1])
		free_slots(map);
	for (i = 0; i < 2; i++)
		if (map->views[i])
			view_free(map->views[i]);
	map_free(map, map, sizeof(*map));
}
