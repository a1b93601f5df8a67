/* SPDX-License-Identifier: Apache-2.0 */
/* A view: one set of slots, found by guest address, by host address and by slot word. */
#include "internal.h"

static size_t view_size(const struct gpamap *map)
{
	return sizeof(struct gpamap_view) + map->config.address_spaces * sizeof(struct index);
}

struct gpamap_view *view_new(struct gpamap *map)
{
	struct gpamap_view *view = map_alloc(map, view_size(map));

	if (view)
		view->map = map;
	return view;
}

void view_free(struct gpamap_view *view)
{
	struct gpamap *map = view->map;
	uint32_t space;

	for (space = 0; space < map->config.address_spaces; space++)
		index_drop(&map->memory, &view->by_gpa[space]);
	index_drop(&map->memory, &view->by_hva);
	index_drop(&map->memory, &view->by_word);
	map_free(map, view, view_size(map));
}

/* ---- Search ---- */

static struct slot *slot_in(const struct entry *entry)
{
	return entry ? entry->slot : NULL;
}

struct slot *view_slot(const struct gpamap_view *view, uint32_t word)
{
	return slot_in(index_at(&view->by_word, word));
}

struct slot *view_holding(const struct gpamap_view *view, uint32_t space, uint64_t gpa)
{
	if (space >= view->map->config.address_spaces)
		return NULL;
	return slot_in(index_at(&view->by_gpa[space], gpa));
}

/* Whether another slot of the same address space has a byte in first .. last. */
bool view_overlaps(const struct gpamap_view *view, uint32_t word, uint64_t first, uint64_t last)
{
	const struct index *index = &view->by_gpa[space_of(word)];
	size_t at = index_next(index, index_seek(index, first), first, last);

	for (; at < index->count; at = index_next(index, at + 1, first, last))
		if (index->entries[at].slot->word != word)
			return true;
	return false;
}

/* ---- Edit ---- */

static void insert(struct gpamap_view *view, struct index *index, uint64_t start, uint64_t last, struct slot *slot)
{
	struct entry entry = {.start = start, .last = last, .rank = slot->word, .slot = slot};

	index_insert(&view->map->memory, index, entry);
}

/* Take `old` out and put `new` in; either may be NULL. Cannot fail: room was reserved. */
void view_replace(struct gpamap_view *view, struct slot *old, struct slot *new)
{
	if (old) {
		index_remove(&view->by_gpa[space_of(old->word)], old->first, old->word);
		index_remove(&view->by_hva, old->host, old->word);
		index_remove(&view->by_word, old->word, old->word);
	}
	if (new) {
		insert(view, &view->by_gpa[space_of(new->word)], new->first, new->last, new);
		insert(view, &view->by_hva, new->host, last_host(new), new);
		insert(view, &view->by_word, new->word, new->word, new);
	}
}
