/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of slots are made in the view that nobody reads, published together, and made in the other view. */
#include "internal.h"

int gpamap_reader_create(struct gpamap *map, struct gpamap_reader **reader)
{
	return gate_admit(&map->gate, &map->pool.memory, reader);
}

void gpamap_reader_destroy(struct gpamap *map, struct gpamap_reader *reader)
{
	gate_dismiss(&map->gate, &map->pool.memory, reader);
}

const struct gpamap_view *gpamap_enter(struct gpamap_reader *reader)
{
	return gate_enter(reader);
}

struct gpamap_view *published_view(const struct gpamap *map)
{
	return gate_published(&map->gate);
}

/* The view that no reader reads. */
struct gpamap_view *private_view(const struct gpamap *map)
{
	return map->views[published_view(map) == map->views[0]];
}

/* Free a slot, and its log unless another has it. */
void free_slot(struct gpamap *map, struct slot *slot)
{
	if (slot->log && !--slot->log->holders)
		log_free(map, slot->log);
	memory_give(&map->pool.memory, slot, sizeof(*slot));
}

/* ---- What was changed since the last publication ---- */

static void list_edited(struct gpamap *map, uint32_t space)
{
	struct edited *edited = &map->edited[space];

	if (edited->is_listed)
		return;
	edited->is_listed = true;
	edited->next = map->first_edited;
	map->first_edited = space + 1;
}

/* The next space that was edited, or false; it leaves the list. */
static bool next_edited(struct gpamap *map, uint32_t *space)
{
	if (!map->first_edited)
		return false;
	*space = map->first_edited - 1;
	map->first_edited = map->edited[*space].next;
	map->edited[*space].is_listed = false;
	return true;
}

static void copy_ids(struct gpamap_view *view, const struct gpamap_view *model, const struct slot *changed)
{
	for (; changed; changed = changed->next)
		view_copy_id(view, model, changed->word);
}

static void free_slots(struct gpamap *map, struct slot *slots, bool all)
{
	while (slots) {
		struct slot *next = slots->next;

		slots->is_new = false;
		if (all || slots->is_out)
			free_slot(map, slots);
		slots = next;
	}
}

static void forget_changes(struct gpamap *map)
{
	map->came = NULL;
	map->went = NULL;
}

/* ---- The steps of a change ---- */

/* Make all changes seen, and make them in the other view. */
void publish(struct gpamap *map)
{
	struct gpamap_view *view = private_view(map);
	struct gpamap_view *other = published_view(map);
	uint32_t space;

	if (!map->first_edited)
		return;
	for (space = map->first_edited; space; space = map->edited[space - 1].next)
		index_seal(&map->pool, &view->spaces[space - 1].by_gpa, &other->spaces[space - 1].by_gpa);
	index_seal(&map->pool, &view->by_hva, &other->by_hva);
	view->version = other->version + 1;

	gate_publish(&map->gate, view);

	while (next_edited(map, &space))
		view_follow(other, view, space);
	index_follow(&map->pool, &other->by_hva, &view->by_hva);
	copy_ids(other, view, map->came);
	copy_ids(other, view, map->went);
	free_slots(map, map->came, false);
	free_slots(map, map->went, true);
	forget_changes(map);
	pool_free_retired(&map->pool);
}

/* Take all changes back. */
void take_back(struct gpamap *map)
{
	struct gpamap_view *view = private_view(map);
	struct gpamap_view *other = published_view(map);
	uint32_t space;

	while (next_edited(map, &space))
		index_revert(&map->pool, &view->spaces[space].by_gpa, &other->spaces[space].by_gpa);
	index_revert(&map->pool, &view->by_hva, &other->by_hva);
	copy_ids(view, other, map->came);
	copy_ids(view, other, map->went);
	free_slots(map, map->came, true);
	forget_changes(map);
	pool_keep_retired(&map->pool);
}

/* `old` gives way to `new`; either may be NULL. ENOMEM: no memory, and no change. */
int make_change(struct gpamap *map, struct slot *old, struct slot *new)
{
	int error;

	list_edited(map, space_of(old ? old->word : new->word));
	error = view_replace(private_view(map), published_view(map), old, new);
	if (error) {
		if (!map->begun)
			take_back(map);
		return error;
	}
	if (new) {
		new->is_new = true;
		new->next = map->came;
		map->came = new;
	}
	if (old && old->is_new) {
		old->is_out = true;
	} else if (old) {
		old->next = map->went;
		map->went = old;
	}
	if (!map->begun)
		publish(map);
	return 0;
}

/* ---- Transactions ---- */

int gpamap_begin(struct gpamap *map)
{
	if (!is_owner(map))
		return -EIO;
	if (map->begun)
		return -EBUSY;
	map->begun = true;
	return 0;
}

int gpamap_commit(struct gpamap *map)
{
	if (!is_owner(map))
		return -EIO;
	if (!map->begun)
		return -EINVAL;
	map->begun = false;
	publish(map);
	return 0;
}

int gpamap_abort(struct gpamap *map)
{
	if (!is_owner(map))
		return -EIO;
	if (!map->begun)
		return -EINVAL;
	map->begun = false;
	take_back(map);
	return 0;
}
