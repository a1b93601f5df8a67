/* SPDX-License-Identifier: Apache-2.0 */
/* Maps, changes of slots, and the calls about dirty logs. */
#include "slots.h"

static bool is_owner(const struct gpamap *map)
{
	return !map->config.caller || map->config.caller(map->config.context) == map->owner;
}

/* ---- Logs ---- */

static size_t words_of(uint64_t npages)
{
	return (size_t)(npages / 64 + (npages % 64 != 0));
}

static struct log *log_new(uint64_t npages, bool all)
{
	struct log *log = some_memory(sizeof(*log) + words_of(npages) * 8);
	uint64_t page;

	log->users = 1;
	log->npages = npages;
	for (page = 0; all && page < npages; page++)
		log->words[page / 64] |= UINT64_C(1) << page % 64;
	return log;
}

static struct log *log_use(struct log *log)
{
	if (log)
		log->users++;
	return log;
}

static void log_drop(struct log *log)
{
	if (log && --log->users == 0)
		free(log);
}

/* ---- The array ---- */

static void take_out(struct gpamap_view *view, struct slot *slot)
{
	log_drop(slot->log);
	*slot = view->slots[--view->count];
}

static void put_in(struct gpamap_view *view, struct slot slot)
{
	view->slots = array_for(view->slots, &view->room, view->count + 1, sizeof(slot));
	view->slots[view->count++] = slot;
}

static void empty(struct gpamap_view *view)
{
	while (view->count)
		take_out(view, &view->slots[view->count - 1]);
	free(view->slots);
	view->slots = NULL;
	view->room = 0;
}

/* ---- Maps and readers ---- */

int gpamap_create(const struct gpamap_config *config, struct gpamap **map)
{
	struct gpamap *new;

	if (config->user_slots < 1 || config->user_slots > 65536)
		return -EINVAL;
	if (config->address_spaces < 1 || config->address_spaces > 65536)
		return -EINVAL;
	if (!config->zalloc != !config->release || config->largest_block > GPAMAP_LARGEST_BLOCK)
		return -EINVAL;
	new = some_memory(sizeof(*new));
	new->config = *config;
	new->owner = config->caller ? config->caller(config->context) : 0;
	new->now.map = new;
	new->draft.map = new;
	*map = new;
	return 0;
}

void gpamap_destroy(struct gpamap *map)
{
	if (!map)
		return;
	while (map->readers)
		gpamap_reader_destroy(map, map->readers);
	empty(&map->now);
	empty(&map->draft);
	free(map);
}

/* ---- Changing slots ---- */

static bool is_no_region(const struct gpamap_config *config, const struct gpamap_region *region)
{
	return (region->slot & 0xffff) >= config->user_slots || region->flags > 3 || region->size % PAGE ||
	       region->gpa % PAGE || region->hva % PAGE || region->size > config->user_limit ||
	       region->hva > config->user_limit - region->size || region->slot >> 16 >= config->address_spaces ||
	       region->gpa > UINT64_MAX - region->size || region->size / PAGE > GPAMAP_MAX_SLOT_PAGES;
}

static bool is_taken(const struct gpamap_view *view, const struct gpamap_region *region)
{
	uint64_t last = region->gpa + region->size - 1;
	size_t i;

	for (i = 0; i < view->count; i++) {
		const struct slot *other = &view->slots[i];

		if (other->word >> 16 == region->slot >> 16 && other->word != region->slot && other->first <= last &&
		    region->gpa <= other->last)
			return true;
	}
	return false;
}

static struct log *log_for(const struct gpamap *map, const struct gpamap_region *region, const struct slot *old)
{
	if (!(region->flags & GPAMAP_LOG_DIRTY_PAGES))
		return NULL;
	if (old && old->log)
		return log_use(old->log);
	return map->has_ring ? NULL : log_new(region->size / PAGE, map->initially_set);
}

int gpamap_set_region(struct gpamap *map, int version, const struct gpamap_region *region)
{
	struct gpamap_view *view = map->begun ? &map->draft : &map->now;
	struct slot *old;
	struct slot new;

	if (!is_owner(map))
		return -EIO;
	if (version != 1)
		return -ENOTTY;
	if (!region)
		return -EFAULT;
	if (is_no_region(&map->config, region))
		return -EINVAL;
	old = slot_named(view, region->slot);
	if (!region->size) {
		if (!old)
			return -EINVAL;
		take_out(view, old);
		return 0;
	}
	if (old && (region->hva != old->host || region->size != old->last - old->first + 1 ||
		    (region->flags & GPAMAP_READONLY) != (old->flags & GPAMAP_READONLY)))
		return -EINVAL;
	if (!old || region->gpa != old->first) {
		if (is_taken(view, region))
			return -EEXIST;
		if (map->config.last_gfn != GPAMAP_NO_LAST_GFN &&
		    (region->gpa + region->size - 1) / PAGE > map->config.last_gfn)
			return -EINVAL;
	}
	new = (struct slot){region->slot, region->flags, region->gpa, region->gpa + region->size - 1, region->hva,
			    log_for(map, region, old)};
	if (old)
		take_out(view, old);
	put_in(view, new);
	return 0;
}

int gpamap_create_guest_memfd(struct gpamap *map)
{
	return is_owner(map) ? -ENOTTY : -EIO;
}

int gpamap_begin(struct gpamap *map)
{
	size_t i;

	if (!is_owner(map))
		return -EIO;
	if (map->begun)
		return -EBUSY;
	map->begun = true;
	for (i = 0; i < map->now.count; i++) {
		put_in(&map->draft, map->now.slots[i]);
		(void)log_use(map->now.slots[i].log);
	}
	return 0;
}

int gpamap_commit(struct gpamap *map)
{
	if (!is_owner(map))
		return -EIO;
	if (!map->begun)
		return -EINVAL;
	map->begun = false;
	empty(&map->now);
	map->now = map->draft;
	map->draft = (struct gpamap_view){.map = map};
	return 0;
}

int gpamap_abort(struct gpamap *map)
{
	if (!is_owner(map))
		return -EIO;
	if (!map->begun)
		return -EINVAL;
	map->begun = false;
	empty(&map->draft);
	return 0;
}

/* ---- Dirty logs ---- */

static bool is_no_word(const struct gpamap *map, uint32_t word)
{
	return word >> 16 >= map->config.address_spaces || (word & 0xffff) >= map->config.user_slots;
}

int gpamap_get_dirty_log(struct gpamap *map, const struct gpamap_get_log *request)
{
	struct slot *slot;
	size_t i;

	if (!is_owner(map))
		return -EIO;
	if (!request)
		return -EFAULT;
	if (map->has_ring)
		return -ENXIO;
	if (is_no_word(map, request->slot))
		return -EINVAL;
	slot = slot_named(&map->now, request->slot);
	if (!slot || !slot->log)
		return -ENOENT;
	if (!request->bitmap)
		return -EFAULT;
	for (i = 0; i < words_of(slot->log->npages); i++) {
		request->bitmap[i] = slot->log->words[i];
		if (!map->manual_protect && slot->log->words[i])
			slot->log->words[i] = 0;
	}
	return 0;
}

int gpamap_clear_dirty_log(struct gpamap *map, const struct gpamap_clear_log *request)
{
	struct slot *slot;
	uint64_t rest, page;

	if (!is_owner(map))
		return -EIO;
	if (!request)
		return -EFAULT;
	if (map->has_ring)
		return -ENXIO;
	if (is_no_word(map, request->slot) || request->first_page % 64)
		return -EINVAL;
	slot = slot_named(&map->now, request->slot);
	if (!slot || !slot->log)
		return -ENOENT;
	if (request->first_page > slot->log->npages)
		return -EINVAL;
	rest = slot->log->npages - request->first_page;
	if (request->num_pages > rest || (request->num_pages % 64 && request->num_pages != rest))
		return -EINVAL;
	if (request->num_pages && !request->bitmap)
		return -EFAULT;
	for (page = 0; page < request->num_pages; page++)
		if (request->bitmap[page / 64] >> page % 64 & 1)
			slot->log->words[(request->first_page + page) / 64] &= ~(UINT64_C(1) << page % 64);
	return 0;
}

int gpamap_enable_manual_protect(struct gpamap *map, const struct gpamap_enable *request)
{
	if (!is_owner(map))
		return -EIO;
	if (!request)
		return -EFAULT;
	if (request->flags || request->option > 3 || request->option == GPAMAP_INITIALLY_SET)
		return -EINVAL;
	map->manual_protect = request->option & GPAMAP_MANUAL_PROTECT;
	map->initially_set = request->option & GPAMAP_INITIALLY_SET;
	return 0;
}

int gpamap_enable_dirty_ring(struct gpamap *map, const struct gpamap_enable *request)
{
	uint64_t size;

	if (!is_owner(map))
		return -EIO;
	if (!request)
		return -EFAULT;
	size = request->option % (UINT64_C(1) << 32);
	if (!map->config.dirty_ring || !size || size & (size - 1) || size < map->config.smallest_dirty_ring)
		return -EINVAL;
	if (size > 1024 * 1024)
		return -E2BIG;
	if (map->has_ring || map->accessed)
		return -EINVAL;
	map->has_ring = true;
	return 0;
}
