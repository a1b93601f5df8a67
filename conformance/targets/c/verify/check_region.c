/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a slot: every check against sums that cannot wrap. All 64-bit values of all numbers. */
#include <stdlib.h>

#include "verify.h"

#include "region.c"

/* What check_place asks of the slots that there are. */
static uint64_t asked_first, asked_last;
static bool overlaps;

bool view_overlaps(const struct gpamap_view *view, uint32_t word, uint64_t first, uint64_t last)
{
	(void)view;
	(void)word;
	asked_first = first;
	asked_last = last;
	return overlaps;
}

struct gpamap_view *private_view(const struct gpamap *map)
{
	return map->views[0];
}

static struct gpamap_region any_region(void)
{
	return (struct gpamap_region){.slot = nondet_u32(),
				      .flags = nondet_u32(),
				      .gpa = nondet_u64(),
				      .size = nondet_u64(),
				      .hva = nondet_u64()};
}

/* The definition: all of this holds. A delete (size 0) is checked like everything else. */
static bool is_good(const struct gpamap_config *config, const struct gpamap_region *region)
{
	return (region->slot & 0xffff) < config->user_slots && region->slot >> 16 < config->address_spaces &&
	       !(region->flags & ~3u) && region->size % 4096 == 0 && region->gpa % 4096 == 0 &&
	       region->hva % 4096 == 0 && (wide)region->hva + region->size <= config->user_limit &&
	       (wide)region->gpa + region->size < TWO_TO_64 && (wide)region->size <= ((wide)0x7fffffff << 12);
}

void request(void)
{
	struct gpamap_config config = {
		.user_slots = nondet_u32(), .address_spaces = nondet_u32(), .user_limit = nondet_u64()};
	struct gpamap_region region = any_region();
	int result = check_request(&config, &region);

	CLAIM(result == (is_good(&config, &region) ? 0 : -EINVAL), "the result is the definition's");
	WITNESS(result == 0 && region.size && (wide)region.gpa + region.size == TWO_TO_64 - 4096, "up to the last page");
	WITNESS(result == 0 && region.size && region.hva + region.size == config.user_limit, "up to the limit");
	WITNESS(result == 0 && region.size == 0, "a delete");
	WITNESS(result == -EINVAL && region.gpa > region.gpa + region.size, "a sum that wraps");
}

void place(void)
{
	struct gpamap map = {.config = {.user_slots = nondet_u32(),
					.address_spaces = nondet_u32(),
					.user_limit = nondet_u64(),
					.last_gfn = nondet_u64()}};
	struct gpamap_region region = any_region();
	wide last = (wide)region.gpa + region.size - 1;
	bool is_behind;
	int result;

	ASSUME(region.size && is_good(&map.config, &region));
	is_behind = map.config.last_gfn != GPAMAP_NO_LAST_GFN && last / 4096 > map.config.last_gfn;
	overlaps = nondet_bool();
	result = check_place(&map, &region);
	CLAIM(asked_first == region.gpa && asked_last == last, "the slot's bytes are asked for");
	CLAIM(result == (overlaps ? -EEXIST : is_behind ? -EINVAL : 0), "the result is the definition's");
	WITNESS(result == 0 && map.config.last_gfn == last / 4096, "up to the last page that there may be");
	WITNESS(result == -EINVAL, "a page too far");
	WITNESS(result == -EEXIST, "EEXIST");
}

void *memory_take(const struct memory *memory, size_t size)
{
	(void)memory;
	return calloc(1, size);
}

void made(void)
{
	struct gpamap map = {.initially_set = nondet_bool()};
	struct gpamap_region region = any_region();
	struct slot *slot;

	ASSUME(region.size && !(region.flags & GPAMAP_LOG_DIRTY_PAGES));
	ASSUME((wide)region.gpa + region.size < TWO_TO_64);
	slot = new_slot(&map, &region, NULL);
	if (slot) {
		CLAIM(slot->first == region.gpa && slot->host == region.hva && slot->flags == region.flags,
		      "the numbers of the request");
		CLAIM((wide)last_of(slot) == (wide)region.gpa + region.size - 1, "up to its exact last byte");
		CLAIM(slot->word == region.slot && slot->item.rank == region.slot && !slot->log, "by its word, without log");
	}
	WITNESS(slot, "there is memory");
	WITNESS(!slot, "there is none");
	free(slot);
}

void slot_kept(void)
{
	struct slot old = {.item.span = nondet_u64(), .host = nondet_u64(), .flags = nondet_u32()};
	struct gpamap_region region = any_region();
	int result;

	ASSUME((wide)old.item.span + 1 < TWO_TO_64); /* no slot is the whole space: check_request */
	result = check_against_old(&region, &old);
	CLAIM((result == 0) == (region.hva == old.host && region.size == (wide)old.item.span + 1 &&
				(region.flags & GPAMAP_READONLY) == (old.flags & GPAMAP_READONLY)),
	      "host address, size and read-only stay");
	WITNESS(result == 0, "they do");
	WITNESS(result == -EINVAL, "they do not");
}
