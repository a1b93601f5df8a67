/* SPDX-License-Identifier: Apache-2.0 */
/* The calls about dirty logs: report, clear, who clears, and the ring that replaces them. */
#include "internal.h"

#define LARGEST_DIRTY_RING (1u << 20)

static bool slot_word_is_bad(const struct gpamap *map, uint32_t word)
{
	return space_of(word) >= map->config.address_spaces || id_of(word) >= map->config.user_slots;
}

static struct log *log_of(const struct gpamap *map, uint32_t word)
{
	struct slot *slot = view_slot(published_view(map), word);

	return slot ? slot->log : NULL;
}

static bool has_ring(struct gpamap *map)
{
	return atomic_load_explicit(&map->dirty_ring, memory_order_relaxed) != 0;
}

int gpamap_get_dirty_log(struct gpamap *map, const struct gpamap_get_log *request)
{
	struct log *log;

	if (!is_owner(map))
		return -EIO;
	if (!request)
		return -EFAULT;
	if (has_ring(map))
		return -ENXIO;
	if (slot_word_is_bad(map, request->slot))
		return -EINVAL;
	log = log_of(map, request->slot);
	if (!log)
		return -ENOENT;
	if (!request->bitmap)
		return -EFAULT;
	if (map->manual_protect)
		log_copy(log, request->bitmap);
	else
		log_take(log, request->bitmap);
	return 0;
}

int gpamap_clear_dirty_log(struct gpamap *map, const struct gpamap_clear_log *request)
{
	struct log *log;

	if (!is_owner(map))
		return -EIO;
	if (!request)
		return -EFAULT;
	if (has_ring(map))
		return -ENXIO;
	if (slot_word_is_bad(map, request->slot))
		return -EINVAL;
	if (request->first_page % WORD_PAGES)
		return -EINVAL;
	log = log_of(map, request->slot);
	if (!log)
		return -ENOENT;
	if (request->first_page > log->npages)
		return -EINVAL;
	if (request->num_pages > log->npages - request->first_page)
		return -EINVAL;
	if (request->num_pages % WORD_PAGES && request->num_pages < log->npages - request->first_page)
		return -EINVAL;
	if (!request->bitmap && request->num_pages)
		return -EFAULT;
	log_clear(log, request->first_page, request->num_pages, request->bitmap);
	return 0;
}

int gpamap_enable_manual_protect(struct gpamap *map, const struct gpamap_enable *request)
{
	if (!is_owner(map))
		return -EIO;
	if (!request)
		return -EFAULT;
	if (request->flags)
		return -EINVAL;
	if (request->option != 0 && request->option != GPAMAP_MANUAL_PROTECT &&
	    request->option != (GPAMAP_MANUAL_PROTECT | GPAMAP_INITIALLY_SET))
		return -EINVAL;
	map->manual_protect = request->option & GPAMAP_MANUAL_PROTECT;
	map->initially_set = request->option & GPAMAP_INITIALLY_SET;
	return 0;
}

int gpamap_enable_dirty_ring(struct gpamap *map, const struct gpamap_enable *request)
{
	uint32_t size;

	if (!is_owner(map))
		return -EIO;
	if (!request)
		return -EFAULT;
	size = (uint32_t)request->option;
	if (!map->config.dirty_ring)
		return -EINVAL;
	if (!size || (size & (size - 1)))
		return -EINVAL;
	if (size < map->config.smallest_dirty_ring)
		return -EINVAL;
	if (size > LARGEST_DIRTY_RING)
		return -E2BIG;
	if (has_ring(map))
		return -EINVAL;
	if (atomic_load_explicit(&map->accessed, memory_order_relaxed))
		return -EINVAL;
	atomic_store_explicit(&map->dirty_ring, size, memory_order_relaxed);
	return 0;
}
