/* SPDX-License-Identifier: Apache-2.0 */
/* Create, move, delete a slot, or change its flags: the checks in their order, then the change. */
#include "internal.h"

static bool is_unaligned(uint64_t number)
{
	return number % GPAMAP_PAGE_SIZE != 0;
}

/* What can be said of a request without looking at any slot. */
static int check_request(const struct gpamap_config *config, const struct gpamap_region *region)
{
	if (id_of(region->slot) >= config->user_slots)
		return -EINVAL;
	if (region->flags & ~(uint32_t)(GPAMAP_LOG_DIRTY_PAGES | GPAMAP_READONLY))
		return -EINVAL;
	if (is_unaligned(region->size))
		return -EINVAL;
	if (is_unaligned(region->gpa))
		return -EINVAL;
	if (is_unaligned(region->hva))
		return -EINVAL;
	if (region->size > config->user_limit || region->hva > config->user_limit - region->size)
		return -EINVAL;
	if (space_of(region->slot) >= config->address_spaces)
		return -EINVAL;
	if (region->gpa + region->size < region->gpa)
		return -EINVAL;
	if (pages_in(region->size) > GPAMAP_MAX_SLOT_PAGES)
		return -EINVAL;
	return 0;
}

/* An existing slot keeps its host address, its size, and whether it is read-only. */
static int check_against_old(const struct gpamap_region *region, const struct slot *old)
{
	if (region->hva != old->host)
		return -EINVAL;
	if (region->size - 1 != old->item.span)
		return -EINVAL;
	if ((region->flags ^ old->flags) & GPAMAP_READONLY)
		return -EINVAL;
	return 0;
}

/* A new or moved slot needs guest pages that are free. */
static int check_place(struct gpamap *map, const struct gpamap_region *region)
{
	uint64_t last = region->gpa + region->size - 1;

	if (view_overlaps(private_view(map), region->slot, region->gpa, last))
		return -EEXIST;
	if (map->config.last_gfn != GPAMAP_NO_LAST_GFN && last >> PAGE_SHIFT > map->config.last_gfn)
		return -EINVAL;
	return 0;
}

/* The slot as it shall be. A log that is kept stays the same log; else a new one begins. NULL: out of memory. */
static struct slot *new_slot(struct gpamap *map, const struct gpamap_region *region, const struct slot *old)
{
	struct slot *slot = memory_take(&map->pool.memory, sizeof(*slot));

	if (!slot)
		return NULL;
	slot->item = (struct item){.rank = region->slot, .span = region->size - 1};
	slot->word = region->slot;
	slot->flags = region->flags;
	slot->first = region->gpa;
	slot->host = region->hva;
	if (!(region->flags & GPAMAP_LOG_DIRTY_PAGES))
		return slot;
	if (old && old->log) {
		slot->log = old->log;
	} else if (!atomic_load_explicit(&map->dirty_ring, memory_order_relaxed)) {
		slot->log = log_new(map, pages_in(region->size), map->initially_set);
		if (!slot->log) {
			free_slot(map, slot);
			return NULL;
		}
	}
	if (slot->log)
		slot->log->holders++;
	return slot;
}

/* `old` gives way to what `region` asks for. */
static int change_slot(struct gpamap *map, const struct gpamap_region *region, struct slot *old)
{
	struct slot *new = NULL;
	int error;

	if (region->size) {
		new = new_slot(map, region, old);
		if (!new)
			return -ENOMEM;
	}
	error = make_change(map, old, new);
	if (error && new)
		free_slot(map, new);
	return error;
}

int gpamap_set_region(struct gpamap *map, int version, const struct gpamap_region *region)
{
	struct slot *old;
	int error;

	if (!is_owner(map))
		return -EIO;
	if (version != 1)
		return -ENOTTY;
	if (!region)
		return -EFAULT;
	error = check_request(&map->config, region);
	if (error)
		return error;

	old = view_slot(private_view(map), region->slot);
	if (!region->size)
		return old ? change_slot(map, region, old) : -EINVAL;
	if (old) {
		error = check_against_old(region, old);
		if (error)
			return error;
		if (region->gpa == old->first && region->flags == old->flags)
			return 0;
	}
	if (!old || region->gpa != old->first) {
		error = check_place(map, region);
		if (error)
			return error;
	}
	return change_slot(map, region, old);
}

int gpamap_create_guest_memfd(struct gpamap *map)
{
	return is_owner(map) ? -ENOTTY : -EIO;
}
