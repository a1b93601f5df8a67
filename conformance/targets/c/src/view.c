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
		index_drop(map, &view->by_gpa[space]);
	index_drop(map, &view->by_hva);
	index_drop(map, &view->by_word);
	map_free(map, view, view_size(map));
}

/* ---- Search ---- */

struct slot *view_slot(const struct gpamap_view *view, uint32_t word)
{
	return index_at(&view->by_word, word);
}

struct slot *view_holding(const struct gpamap_view *view, uint32_t space, uint64_t gpa)
{
	if (space >= view->map->config.address_spaces)
		return NULL;
	return index_at(&view->by_gpa[space], gpa);
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

/* Take `old` out and put `new` in; either may be NULL. Cannot fail: room was reserved. */
void view_replace(struct gpamap_view *view, struct slot *old, struct slot *new)
{
	if (old) {
		index_remove(&view->by_gpa[space_of(old->word)], old->first, old);
		index_remove(&view->by_hva, old->host, old);
		index_remove(&view->by_word, old->word, old);
	}
	if (new) {
		index_insert(view->map, &view->by_gpa[space_of(new->word)], new->first, new->last, new);
		index_insert(view->map, &view->by_hva, new->host, last_host(new), new);
		index_insert(view->map, &view->by_word, new->word, new->word, new);
	}
}
