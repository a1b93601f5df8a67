/* SPDX-License-Identifier: Apache-2.0 */
/* What readers ask of a view. */
#include "internal.h"

static struct gpamap_slot_info info_of(const struct slot *slot)
{
	return (struct gpamap_slot_info){
		.slot = slot->word,
		.flags = slot->flags,
		.first = slot->first,
		.last = last_of(slot),
		.host = slot->host,
		.logged = slot->log != NULL,
	};
}

static const struct entry *entry_at(const struct gpamap_view *view, uint32_t space, uint64_t gpa)
{
	return space < view->nspaces ? index_at(&view->spaces[space].by_gpa, gpa) : NULL;
}

static uintptr_t denial(int write)
{
	return write ? DENIES_WRITE : 0;
}

int gpamap_lookup(const struct gpamap_view *view, uint32_t space, uint64_t gpa, int write, struct gpamap_segment *found)
{
	const struct entry *entry = entry_at(view, space, gpa);

	if (!entry)
		return -EFAULT;
	if (entry->item & denial(write))
		return -EACCES;
	*found = (struct gpamap_segment){gpa, entry->reach, gpa + entry->delta};
	return 0;
}

int gpamap_lookup_again(struct gpamap_reader *reader, const struct gpamap_view *view, uint32_t space, uint64_t gpa,
			int write, struct gpamap_segment *found)
{
	struct hit *hit = &reader->hit;

	if (gpa - hit->start > hit->span || hit->version != view->version || hit->space != space) {
		const struct entry *entry = entry_at(view, space, gpa);

		if (!entry)
			return -EFAULT;
		*hit = (struct hit){view->version, entry->start, entry->reach - entry->start, entry->delta, entry->item, space};
	}
	if (hit->item & denial(write))
		return -EACCES;
	*found = (struct gpamap_segment){gpa, hit->start + hit->span, gpa + hit->delta};
	return 0;
}

int gpamap_translate(const struct gpamap_view *view, uint32_t space, uint64_t gpa, uint64_t length, int write,
		     struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	if (space < view->nspaces)
		return walk(&view->spaces[space].by_gpa, gpa, length, denial(write), -EACCES, segments, room, reach);
	*reach = (struct gpamap_reach){0, 0};
	if (!length)
		return 0;
	return room ? -EFAULT : -ENOBUFS;
}

int gpamap_next_slot(const struct gpamap_view *view, uint32_t space, uint64_t gpa, struct gpamap_slot_info *found)
{
	const struct index *index;
	const struct entry *entry;

	if (space >= view->nspaces)
		return -ENOENT;
	index = &view->spaces[space].by_gpa;
	entry = index_entry(index, index_seek(index, gpa));
	if (!entry)
		return -ENOENT;
	*found = info_of(slot_of(entry));
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

	for (space = 0; space < view->nspaces; space++) {
		const struct index *index = &view->spaces[space].by_gpa;
		struct spot spot = {0, 0};

		for (; spot.place < index->count; spot = index_next(index, spot), count++)
			if (count < room)
				slots[count] = info_of(slot_of(spot_entry(index, spot)));
	}
	return count;
}

int gpamap_lookup_hva(const struct gpamap_view *view, uint64_t hva, struct gpamap_guest_range *found)
{
	const struct entry *entry = index_at(&view->by_hva, hva);

	if (!entry)
		return -ENOENT;
	*found = (struct gpamap_guest_range){slot_of(entry)->word, hva + entry->delta, last_of(slot_of(entry))};
	return 0;
}

size_t gpamap_hva_range(const struct gpamap_view *view, uint64_t first, uint64_t last, struct gpamap_guest_range *ranges,
			size_t room)
{
	const struct index *index = &view->by_hva;
	struct spot spot = index_seek(index, first);
	const struct entry *entry;
	size_t count = 0;

	for (; (entry = index_entry(index, spot)) && entry->start <= last; spot = index_next(index, spot)) {
		const struct slot *slot = slot_of(entry);
		uint64_t last_host = slot->host + slot->item.span;
		uint64_t before = first > slot->host ? first - slot->host : 0;
		uint64_t after = last < last_host ? last_host - last : 0;

		if (last_host < first)
			continue;
		if (count < room)
			ranges[count] = (struct gpamap_guest_range){slot->word, slot->first + before, last_of(slot) - after};
		count++;
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
		const struct entry *entry = entry_at(view, 0, gpa);
		struct gpamap_segment segment;
		int error;

		if (!entry)
			return -EFAULT;
		if (entry->item & denial(write))
			return -EACCES;
		segment = (struct gpamap_segment){gpa, gpa + size - 1, gpa + entry->delta};
		error = piece(context, &segment);
		if (error)
			return error;
		if (write)
			mark_written(view, slot_of(entry), gpa);
		gpa += size;
		length -= size;
	}
	return 0;
}
