/* SPDX-License-Identifier: Apache-2.0 */
/* Readers, and what they ask. */
#include "slots.h"

int gpamap_reader_create(struct gpamap *map, struct gpamap_reader **reader)
{
	*reader = some_memory(sizeof(**reader));
	(*reader)->map = map;
	(*reader)->next = map->readers;
	map->readers = *reader;
	return 0;
}

void gpamap_reader_destroy(struct gpamap *map, struct gpamap_reader *reader)
{
	struct gpamap_reader **link = &map->readers;

	if (!reader)
		return;
	while (*link != reader)
		link = &(*link)->next;
	*link = reader->next;
	free(reader);
}

const struct gpamap_view *gpamap_enter(struct gpamap_reader *reader)
{
	return &reader->map->now;
}

void gpamap_leave(struct gpamap_reader *reader)
{
	(void)reader;
}

static struct slot *slot_holding(const struct gpamap_view *view, uint32_t space, uint64_t gpa)
{
	size_t i;

	for (i = 0; i < view->count; i++)
		if (view->slots[i].word >> 16 == space && view->slots[i].first <= gpa && gpa <= view->slots[i].last)
			return &view->slots[i];
	return NULL;
}

static int reach(const struct gpamap_view *view, uint32_t space, uint64_t gpa, int write, struct slot **slot)
{
	*slot = slot_holding(view, space, gpa);
	if (!*slot)
		return -EFAULT;
	return write && (*slot)->flags & GPAMAP_READONLY ? -EACCES : 0;
}

int gpamap_lookup(const struct gpamap_view *view, uint32_t space, uint64_t gpa, int write, struct gpamap_segment *found)
{
	struct slot *slot;
	int error = reach(view, space, gpa, write, &slot);

	if (!error)
		*found = (struct gpamap_segment){gpa, slot->last, slot->host + (gpa - slot->first)};
	return error;
}

int gpamap_lookup_again(struct gpamap_reader *reader, const struct gpamap_view *view, uint32_t space, uint64_t gpa,
			int write, struct gpamap_segment *found)
{
	(void)reader;
	return gpamap_lookup(view, space, gpa, write, found);
}

int gpamap_translate(const struct gpamap_view *view, uint32_t space, uint64_t gpa, uint64_t length, int write,
		     struct gpamap_segment *segments, size_t room, struct gpamap_reach *reached)
{
	*reached = (struct gpamap_reach){0, 0};
	while (reached->bytes < length) {
		uint64_t address = gpa + reached->bytes;
		uint64_t size = length - reached->bytes;
		struct slot *slot;
		int error;

		if (reached->segments == room)
			return -ENOBUFS;
		if (address < gpa)
			return -EFAULT;
		error = reach(view, space, address, write, &slot);
		if (error)
			return error;
		if (slot->last - address < size - 1)
			size = slot->last - address + 1;
		segments[reached->segments++] = (struct gpamap_segment){address, address + (size - 1),
									slot->host + (address - slot->first)};
		reached->bytes += size;
	}
	return 0;
}

static struct gpamap_slot_info info_of(const struct slot *slot)
{
	return (struct gpamap_slot_info){slot->word, slot->flags, slot->first, slot->last, slot->host, slot->log != NULL};
}

int gpamap_find_slot(const struct gpamap_view *view, uint32_t slot, struct gpamap_slot_info *found)
{
	const struct slot *named = slot_named(view, slot);

	if (!named)
		return -ENOENT;
	*found = info_of(named);
	return 0;
}

int gpamap_next_slot(const struct gpamap_view *view, uint32_t space, uint64_t gpa, struct gpamap_slot_info *found)
{
	const struct slot *next = NULL;
	size_t i;

	for (i = 0; i < view->count; i++) {
		const struct slot *slot = &view->slots[i];

		if (slot->word >> 16 == space && slot->last >= gpa && (!next || slot->first < next->first))
			next = slot;
	}
	if (!next)
		return -ENOENT;
	*found = info_of(next);
	return 0;
}

static int by_guest(const void *left, const void *right)
{
	const struct slot *one = left, *other = right;

	if (one->word >> 16 != other->word >> 16)
		return one->word >> 16 < other->word >> 16 ? -1 : 1;
	return one->first < other->first ? -1 : one->first > other->first;
}

size_t gpamap_slots(const struct gpamap_view *view, struct gpamap_slot_info *slots, size_t room)
{
	struct slot *sorted = some_memory((view->count + 1) * sizeof(*sorted));
	size_t i;

	for (i = 0; i < view->count; i++)
		sorted[i] = view->slots[i];
	qsort(sorted, view->count, sizeof(*sorted), by_guest);
	for (i = 0; i < view->count && i < room; i++)
		slots[i] = info_of(&sorted[i]);
	free(sorted);
	return view->count;
}

static int by_host(const void *left, const void *right)
{
	const struct slot *one = left, *other = right;

	if (one->host != other->host)
		return one->host < other->host ? -1 : 1;
	return one->word < other->word ? -1 : one->word > other->word;
}

int gpamap_lookup_hva(const struct gpamap_view *view, uint64_t hva, struct gpamap_guest_range *found)
{
	const struct slot *best = NULL;
	size_t i;

	for (i = 0; i < view->count; i++) {
		const struct slot *slot = &view->slots[i];

		if (slot->host <= hva && hva <= slot->host + (slot->last - slot->first) &&
		    (!best || by_host(slot, best) < 0))
			best = slot;
	}
	if (!best)
		return -ENOENT;
	found->slot = best->word;
	found->first = best->first + (hva - best->host);
	found->last = best->last;
	return 0;
}

size_t gpamap_hva_range(const struct gpamap_view *view, uint64_t first, uint64_t last, struct gpamap_guest_range *ranges,
			size_t room)
{
	struct slot *found = some_memory((view->count + 1) * sizeof(*found));
	size_t count = 0, i;

	for (i = 0; i < view->count; i++) {
		const struct slot *slot = &view->slots[i];

		if (slot->host <= last && first <= slot->host + (slot->last - slot->first))
			found[count++] = *slot;
	}
	qsort(found, count, sizeof(*found), by_host);
	for (i = 0; i < count && i < room; i++) {
		const struct slot *slot = &found[i];
		uint64_t last_host = slot->host + (slot->last - slot->first);

		ranges[i].slot = slot->word;
		ranges[i].first = first > slot->host ? slot->first + (first - slot->host) : slot->first;
		ranges[i].last = last < last_host ? slot->last - (last_host - last) : slot->last;
	}
	free(found);
	return count;
}

/* The first page from `page` on that is in the log, or is not, as `wanted` says; npages if there is none. */
static uint64_t next_page(const struct log *log, uint64_t page, bool wanted)
{
	while (page < log->npages && (log->words[page / 64] >> page % 64 & 1) != wanted) {
		/* A word that has none at all is passed in one step. */
		bool none = page % 64 == 0 && log->words[page / 64] == (wanted ? 0 : UINT64_MAX);

		page += none ? 64 : 1;
	}
	return page < log->npages ? page : log->npages;
}

int gpamap_next_dirty(const struct gpamap_view *view, uint32_t slot, uint64_t from, uint64_t *first, uint64_t *last)
{
	const struct slot *named = slot_named(view, slot);
	uint64_t page;

	if (!named || !named->log)
		return 0;
	page = next_page(named->log, from, true);
	if (page >= named->log->npages)
		return 0;
	*first = page;
	*last = next_page(named->log, page, false) - 1;
	return 1;
}

int gpamap_access(const struct gpamap_view *view, uint64_t gpa, uint64_t length, int write, gpamap_piece piece,
		  void *context)
{
	view->map->accessed = true;
	while (length) {
		uint64_t left = PAGE - gpa % PAGE;
		uint64_t size = length < left ? length : left;
		struct gpamap_segment found;
		struct slot *slot;
		int error = reach(view, 0, gpa, write, &slot);

		if (error)
			return error;
		found = (struct gpamap_segment){gpa, gpa + (size - 1), slot->host + (gpa - slot->first)};
		error = piece(context, &found);
		if (error)
			return error;
		if (write && slot->log && !view->map->has_ring) {
			uint64_t page = (gpa - slot->first) / PAGE;

			slot->log->words[page / 64] |= UINT64_C(1) << page % 64;
		}
		gpa += size;
		length -= size;
	}
	return 0;
}
