/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing: readers enter the published view; the writer swaps the views and waits.
 *
 * Enter is "store inside, load published", publish is "store published, load inside", all sequentially consistent: either
 * the reader sees the new view, or the writer sees the reader inside. A reader that left and entered again
 * has another number in `inside`, and entered after the swap: the writer waits for nobody twice.
 */
#include "internal.h"

#ifndef __STDC_NO_THREADS__
#include <threads.h>
#endif

/* ---- Readers ---- */

int gpamap_reader_create(struct gpamap *map, struct gpamap_reader **reader)
{
	struct gpamap_reader *new = map_alloc(map, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->map = map;
	new->next = map->readers;
	map->readers = new;
	*reader = new;
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
	map_free(map, reader, sizeof(*reader));
}

const struct gpamap_view *gpamap_enter(struct gpamap_reader *reader)
{
	uint64_t now = atomic_load_explicit(&reader->inside, memory_order_relaxed);

	atomic_store_explicit(&reader->inside, now + 1, memory_order_seq_cst);
	return atomic_load_explicit(&reader->map->published, memory_order_seq_cst);
}

void gpamap_leave(struct gpamap_reader *reader)
{
	uint64_t now = atomic_load_explicit(&reader->inside, memory_order_relaxed);

	atomic_store_explicit(&reader->inside, now + 1, memory_order_release);
}

/* ---- The writer ---- */

struct gpamap_view *published_view(const struct gpamap *map)
{
	return atomic_load_explicit(&map->published, memory_order_relaxed);
}

/* The view that no reader reads. */
struct gpamap_view *private_view(const struct gpamap *map)
{
	return map->views[published_view(map) == map->views[0]];
}

static void wait_for(struct gpamap *map, struct gpamap_reader *reader)
{
	uint64_t seen = atomic_load_explicit(&reader->inside, memory_order_seq_cst);

	if (seen % 2 == 0)
		return;
	while (atomic_load_explicit(&reader->inside, memory_order_seq_cst) == seen) {
		if (map->config.wait)
			map->config.wait(map->config.context);
#ifndef __STDC_NO_THREADS__
		else
			thrd_yield();
#endif
	}
}

static void swap_views(struct gpamap *map)
{
	struct gpamap_reader *reader;

	atomic_store_explicit(&map->published, private_view(map), memory_order_seq_cst);
	for (reader = map->readers; reader; reader = reader->next)
		wait_for(map, reader);
}

/* See to it that one more slot will fit into both views. */
int reserve_for(struct gpamap *map, uint32_t space)
{
	const struct gpamap_view *now = private_view(map);
	int i;

	for (i = 0; i < 2; i++) {
		struct gpamap_view *view = map->views[i];

		if (index_reserve(&map->memory, &view->by_gpa[space], now->by_gpa[space].count + 1) ||
		    index_reserve(&map->memory, &view->by_hva, now->by_hva.count + 1) ||
		    index_reserve(&map->memory, &view->by_word, now->by_word.count + 1))
			return -ENOMEM;
	}
	return 0;
}

/* Make a change in the private view, and remember it. */
void make_change(struct gpamap *map, struct change *change)
{
	change->before = map->newest;
	if (map->newest)
		map->newest->next = change;
	else
		map->oldest = change;
	map->newest = change;
	view_replace(private_view(map), change->old, change->new);
}

/* Free the slot that lost its place in a change, and its log unless the slot that stays has it. */
static void free_loser(struct gpamap *map, struct slot *loser, const struct slot *stays)
{
	if (!loser)
		return;
	if (!stays || stays->log != loser->log)
		log_free(map, loser->log);
	map_free(map, loser, sizeof(*loser));
}

/* Publish all changes, and make them in the other view. */
void publish(struct gpamap *map)
{
	struct change *change = map->oldest;

	map->oldest = NULL;
	map->newest = NULL;
	if (!change)
		return;
	swap_views(map);
	while (change) {
		struct change *next = change->next;

		view_replace(private_view(map), change->old, change->new);
		free_loser(map, change->old, change->new);
		map_free(map, change, sizeof(*change));
		change = next;
	}
}

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
	struct change *change = map->newest;

	if (!is_owner(map))
		return -EIO;
	if (!map->begun)
		return -EINVAL;
	map->begun = false;
	map->oldest = NULL;
	map->newest = NULL;
	while (change) {
		struct change *before = change->before;

		view_replace(private_view(map), change->new, change->old);
		free_loser(map, change->new, change->old);
		map_free(map, change, sizeof(*change));
		change = before;
	}
	return 0;
}
