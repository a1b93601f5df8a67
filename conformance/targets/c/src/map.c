/* SPDX-License-Identifier: Apache-2.0 */
/* Making and freeing a map. */
#include "internal.h"

#define LARGEST_COUNT 65536 /* half a slot word */


bool is_owner(const struct gpamap *map)
{
	return !map->config.caller || map->config.caller(map->config.context) == map->owner;
}

static bool map_is_bad(const struct gpamap_config *config)
{
	return config->user_slots < 1 || config->user_slots > LARGEST_COUNT || config->address_spaces < 1 ||
	       config->address_spaces > LARGEST_COUNT || config->largest_block > GPAMAP_LARGEST_BLOCK;
}

static size_t edited_size(const struct gpamap *map)
{
	return map->config.address_spaces * sizeof(struct edited);
}

int gpamap_create(const struct gpamap_config *config, struct gpamap **map)
{
	struct memory memory = {config->zalloc, config->release, config->context};
	struct gpamap *new;

	if (map_is_bad(config) || memory_is_bad(&memory))
		return -EINVAL;
	memory = memory_or_libc(memory);
	new = memory_take(&memory, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->config = *config;
	pool_init(&new->pool, &memory, config->largest_block);
	new->owner = config->caller ? config->caller(config->context) : 0;
	new->views[0] = view_new(new);
	new->views[1] = view_new(new);
	new->edited = memory_take(&memory, edited_size(new));
	gate_init(&new->gate, new->views[0], config->wait, config->context);
	if (!new->views[0] || !new->views[1] || !new->edited) {
		gpamap_destroy(new);
		return -ENOMEM;
	}
	new->views[0]->version = 1;
	*map = new;
	return 0;
}

/* The two views hold the same slots: they are freed once. */
static void free_all_slots(struct gpamap *map)
{
	uint32_t space;
	size_t id;

	for (space = 0; space < map->config.address_spaces; space++) {
		const struct space *all = &map->views[0]->spaces[space];

		for (id = 0; id < all->ids; id++)
			if (all->by_id[id])
				free_slot(map, all->by_id[id]);
	}
}

void gpamap_destroy(struct gpamap *map)
{
	struct memory memory;
	int i;

	if (!map)
		return;
	memory = map->pool.memory;
	if (map->begun)
		take_back(map);
	while (map->gate.readers)
		gpamap_reader_destroy(map, map->gate.readers);
	if (map->views[0] && map->views[1])
		free_all_slots(map);
	for (i = 0; i < 2; i++)
		if (map->views[i])
			view_free(map->views[i], i == 0);
	pool_drop(&map->pool);
	if (map->edited)
		memory_give(&memory, map->edited, edited_size(map));
	memory_give(&memory, map, sizeof(*map));
}
