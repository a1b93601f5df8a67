/* SPDX-License-Identifier: Apache-2.0 */
/* The calls about dirty logs: every error, in the order of the specification. What they do to a log is check_log.c's. */
#include "verify.h"

#include "dirty.c"

static struct slot slot;
static struct log log;
static bool has_slot, is_owned;
static enum { NOTHING, COPIED, TAKEN, CLEARED } done;

bool is_owner(const struct gpamap *map)
{
	(void)map;
	return is_owned;
}

struct slot *view_slot(const struct gpamap_view *view, uint32_t word)
{
	(void)view;
	(void)word;
	return has_slot ? &slot : NULL;
}

struct gpamap_view *published_view(const struct gpamap *map)
{
	return map->views[0];
}

void log_copy(const struct log *of, uint64_t *bitmap)
{
	CLAIM(of == &log && bitmap, "the slot's log, to a bitmap");
	done = COPIED;
}

void log_take(struct log *of, uint64_t *bitmap)
{
	CLAIM(of == &log && bitmap, "the slot's log, to a bitmap");
	done = TAKEN;
}

void log_clear(struct log *of, uint64_t first_page, uint64_t num_pages, const uint64_t *bitmap)
{
	CLAIM(of == &log && (bitmap || !num_pages), "the slot's log, by a bitmap");
	CLAIM(first_page % 64 == 0 && (wide)first_page + num_pages <= log.npages, "pages of the slot");
	CLAIM(num_pages % 64 == 0 || (wide)first_page + num_pages == log.npages, "whole words, or up to the last page");
	done = CLEARED;
}

static struct gpamap any_map(void)
{
	struct gpamap map = {.config = {.user_slots = nondet_u32(),
					.address_spaces = nondet_u32(),
					.dirty_ring = nondet_bool(),
					.smallest_dirty_ring = nondet_u32()},
			     .manual_protect = nondet_bool(),
			     .dirty_ring = nondet_u32(),
			     .accessed = nondet_bool()};

	has_slot = nondet_bool();
	is_owned = nondet_bool();
	log.npages = nondet_u64();
	slot.log = nondet_bool() ? &log : NULL;
	return map;
}

/* The errors that both calls begin with; 0: none. */
static int refusal(const struct gpamap *map, bool has_request, uint32_t word)
{
	if (!is_owned)
		return -EIO;
	if (!has_request)
		return -EFAULT;
	if (map->dirty_ring)
		return -ENXIO;
	return word >> 16 >= map->config.address_spaces || (word & 0xffff) >= map->config.user_slots ? -EINVAL : 0;
}

void got(void)
{
	struct gpamap map = any_map();
	uint64_t bitmap[1];
	struct gpamap_get_log request = {.slot = nondet_u32(), .bitmap = nondet_bool() ? bitmap : NULL};
	bool has_request = nondet_bool();
	int expected = refusal(&map, has_request, request.slot);
	int result = gpamap_get_dirty_log(&map, has_request ? &request : NULL);

	if (!expected)
		expected = !has_slot || !slot.log ? -ENOENT : !request.bitmap ? -EFAULT : 0;
	CLAIM(result == expected, "the first error of all");
	CLAIM(done == (result ? NOTHING : map.manual_protect ? COPIED : TAKEN), "the log is copied, or taken; or nothing is done");
	WITNESS(done == TAKEN, "taken");
	WITNESS(done == COPIED, "copied");
	WITNESS(result == -EFAULT && has_request, "no bitmap");
}

void cleared(void)
{
	struct gpamap map = any_map();
	uint64_t bitmap[1];
	struct gpamap_clear_log request = {.slot = nondet_u32(),
					   .first_page = nondet_u64(),
					   .num_pages = nondet_u64(),
					   .bitmap = nondet_bool() ? bitmap : NULL};
	bool has_request = nondet_bool();
	wide end = (wide)request.first_page + request.num_pages;
	int expected = refusal(&map, has_request, request.slot);
	int result;

	if (!expected)
		expected = request.first_page % 64 ? -EINVAL
			   : !has_slot || !slot.log ? -ENOENT
			   : end > log.npages || (request.num_pages % 64 && end < log.npages) ? -EINVAL
			   : !request.bitmap && request.num_pages ? -EFAULT
								  : 0;
	result = gpamap_clear_dirty_log(&map, has_request ? &request : NULL);
	CLAIM(result == expected, "the first error of all");
	CLAIM((done == CLEARED) == !result, "pages are cleared, or nothing is done");
	WITNESS(!result && request.num_pages % 64 && request.first_page, "up to the last page");
	WITNESS(!result && !request.num_pages && !request.bitmap, "nothing");
	WITNESS(result == -EINVAL && request.first_page > UINT64_MAX - 64, "behind the last page there can be");
}

void enabled(void)
{
	struct gpamap map = any_map();
	struct gpamap_enable request = {.option = nondet_u64(), .flags = nondet_u32()};
	bool has_request = nondet_bool();
	uint32_t ring = map.dirty_ring, size = (uint32_t)request.option;
	bool is_power = size == 1u << any_below(32);
	int result = gpamap_enable_manual_protect(&map, has_request ? &request : NULL);

	CLAIM(result == (!is_owned ? -EIO : !has_request ? -EFAULT : request.flags ? -EINVAL :
			 request.option == 0 || request.option == 1 || request.option == 3 ? 0 : -EINVAL),
	      "nothing, by hand, or by hand with all pages set");
	if (!result)
		CLAIM(map.manual_protect == (request.option & 1) && map.initially_set == request.option >> 1, "as asked for");
	WITNESS(!result && map.initially_set, "all pages set");
	result = gpamap_enable_dirty_ring(&map, has_request ? &request : NULL);
	if (result == 0)
		CLAIM(is_owned && has_request && map.config.dirty_ring && size && size >= map.config.smallest_dirty_ring &&
			      size <= 1u << 20 && !ring && !map.accessed && map.dirty_ring == size,
		      "a ring may be had, has a size that it may have, and is the first thing of all");
	else
		CLAIM(map.dirty_ring == ring, "or nothing is done");
	if (is_power && is_owned && has_request && map.config.dirty_ring && size >= map.config.smallest_dirty_ring && !ring &&
	    !map.accessed)
		CLAIM(result == (size <= 1u << 20 ? 0 : -E2BIG), "it is had, or too big");
	WITNESS(!result && size == 1u << 20, "the largest ring");
	WITNESS(result == -E2BIG, "a larger one");
}
