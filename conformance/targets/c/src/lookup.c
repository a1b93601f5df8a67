/* SPDX-License-Identifier: Apache-2.0 */
/* What readers ask of a view. */
#include "internal.h"

static struct gpamap_slot_info info_of(const struct slot *slot)
{
	return (struct gpamap_slot_info){
		.slot = slot->word,
		.flags = slot->flags,
		.first = slot->first,
		.last = slot->last,
		.host = slot->host,
		.logged = slot->log != NULL,
	};
}

/* The slot that an access reaches, or the error that stops it. */
static int reach(const struct gpamap_view *view, uint32_t space, uint64_t gpa, int write, struct slot **slot)
{
	*slot = view_holding(view, space, gpa);
	if (!*slot)
		return -EFAULT;
	if (write && ((*slot)->flags & GPAMAP_READONLY))
		return -EACCES;
	return 0;
}

int gpamap_lookup(const struct gpamap_view *view, uint32_t space, uint64_t gpa, int write, struct gpamap_segment *found)
{
	struct slot *slot;
	int error = reach(view, space, gpa, write, &slot);

	if (error)
		return error;
	*found = (struct gpamap_segment){gpa, slot->last, slot->host + (gpa - slot->first)};
	return 0;
}

int gpamap_find_slot(const struct gpamap_view *view, uint32_t slot, struct gpamap_slot_info *found)
{
	const struct slot *named = view_slot(view, slot);

	if (!named)
		return -ENOENT;
	*found = info_of(named);
	return 0;
}

size_t gpamap_slots(const struct gpamap_view *view, struct gpamap_slot_info *slots, size_t room)
{
	size_t count = 0;
	uint32_t space;

	for (space = 0; space < view->map->config.address_spaces; space++) {
		const struct index *index = &view->by_gpa[space];
		size_t i;

		for (i = 0; i < index->count; i++, count++)
			if (count < room)
				slots[count] = info_of(index->entries[i].slot);
	}
	return count;
}

size_t gpamap_hva_range(const struct gpamap_view *view, uint64_t first, uint64_t last, struct gpamap_guest_range *ranges,
			size_t room)
{
	const struct index *index = &view->by_hva;
	size_t at = index_next(index, index_seek(index, first), first, last);
	size_t count = 0;

	for (; at < index->count; at = index_next(index, at + 1, first, last), count++) {
		const struct slot *slot = index->entries[at].slot;
		uint64_t before = first > slot->host ? first - slot->host : 0;
		uint64_t after = last < last_host(slot) ? last_host(slot) - last : 0;

		if (count < room)
			ranges[count] =
				(struct gpamap_guest_range){slot->word, slot->first + before, slot->last - after};
	}
	return count;
}

int gpamap_next_dirty(const struct gpamap_view *view, uint32_t slot, uint64_t from, uint64_t *first, uint64_t *last)
{
	const struct slot *named = view_slot(view, slot);

	return named && named->log && log_next_run(named->log, from, first, last);
}

/* ---- Accesses ---- */

static void mark_written(const struct gpamap_view *view, const struct slot *slot, uint64_t gpa)
{
	if (slot->log && !atomic_load_explicit(&view->map->dirty_ring, memory_order_relaxed))
		log_mark(slot->log, (gpa - slot->first) >> PAGE_SHIFT);
}

static void note_access(struct gpamap *map)
{
	/* Readers share this flag: it is written once. */
	if (!atomic_load_explicit(&map->accessed, memory_order_relaxed))
		atomic_store_explicit(&map->accessed, true, memory_order_relaxed);
}

int gpamap_access(const struct gpamap_view *view, uint64_t gpa, uint64_t length, int write, gpamap_piece piece,
		  void *context)
{
	note_access(view->map);
	/* The last page of all is never mapped: gpa does not wrap. */
	while (length) {
		uint64_t left = GPAMAP_PAGE_SIZE - gpa % GPAMAP_PAGE_SIZE;
		uint64_t size = length < left ? length : left;
		struct gpamap_segment segment;
		struct slot *slot;
		int error = reach(view, 0, gpa, write, &slot);

		if (error)
			return error;
		segment = (struct gpamap_segment){gpa, gpa + size - 1, slot->host + (gpa - slot->first)};
		error = piece(context, &segment);
		if (error)
			return error;
		if (write)
			mark_written(view, slot, gpa);
		gpa += size;
		length -= size;
	}
	return 0;
}
