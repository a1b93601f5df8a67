/* SPDX-License-Identifier: Apache-2.0 */
/* Making and freeing a map. */
#include "internal.h"

#define LARGEST_COUNT 65536 /* half a slot word */

void *map_alloc(struct gpamap *map, size_t size)
{
	return memory_take(&map->memory, size);
}

void map_free(struct gpamap *map, void *memory, size_t size)
{
	memory_give(&map->memory, memory, size);
}

bool is_owner(const struct gpamap *map)
{
	return !map->config.caller || map->config.caller(map->config.context) == map->owner;
}

static bool is_bad(const struct gpamap_config *config)
{
	return config->user_slots < 1 || config->user_slots > LARGEST_COUNT || config->address_spaces < 1 ||
	       config->address_spaces > LARGEST_COUNT;
}

int gpamap_create(const struct gpamap_config *config, struct gpamap **map)
{
	struct memory memory = {config->zalloc, config->release, config->context};
	struct gpamap *new;

	if (is_bad(config) || memory_is_bad(&memory))
		return -EINVAL;
	memory = memory_or_libc(memory);
	new = memory_take(&memory, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->config = *config;
	new->memory = memory;
	new->owner = config->caller ? config->caller(config->context) : 0;
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
