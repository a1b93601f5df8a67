/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots as KVM keeps them, on the kernel's own trees: two sets, in each a red-black tree by guest page, an interval tree by
 * host address and a hash of 128 chains by number, and a slot that was used last. Written from the description of that
 * design; the trees are the kernel's files, unmodified. A change is made in the set that nobody reads, which then becomes
 * the one that is read; the writer waits for readers, as libgpamap does (there are none while changes are timed), and makes it in
 * the other set, too. (KVM publishes deletes and moves twice; this one does not.)
 */
#include <sched.h>

#include "counting.h"

#include <linux/interval_tree_generic.h>
#include <linux/rbtree.h>

#define CHAINS 128

struct hva_node {
	struct rb_node rb;
	uint64_t start;
	uint64_t last;
	uint64_t subtree_last;
};

#define NODE_START(node) ((node)->start)
#define NODE_LAST(node) ((node)->last)
INTERVAL_TREE_DEFINE(struct hva_node, rb, uint64_t, subtree_last, NODE_START, NODE_LAST, static inline, by_hva)

struct slot {
	struct hva_node hva[2];
	struct rb_node gfn[2];
	struct slot *next[2]; /* of its chain */
	uint64_t base;        /* page number */
	uint64_t pages;
	uint64_t host;
	uint32_t id;
	uint32_t flags;
};

struct set {
	struct slot *used_last;
	struct rb_root gfns;
	struct rb_root_cached hvas;
	struct slot *chains[CHAINS];
	int number;
};

struct map {
	struct set sets[2];
	struct set *active;
	uint64_t inside[2]; /* readers that are inside a set: none here, but a writer has to look */
};

#include "loops.h"

static inline int holds(const struct slot *slot, uint64_t gfn)
{
	return gfn >= slot->base && gfn < slot->base + slot->pages;
}

static inline struct slot *slot_by_gfn(struct set *set, uint64_t gfn)
{
	struct slot *slot = READ_ONCE(set->used_last);
	struct rb_node *node;

	if (slot && holds(slot, gfn))
		return slot;
	for (node = set->gfns.rb_node; node;) {
		slot = rb_entry(node, struct slot, gfn[set->number]);
		if (gfn < slot->base) {
			node = node->rb_left;
		} else if (gfn < slot->base + slot->pages) {
			WRITE_ONCE(set->used_last, slot);
			return slot;
		} else {
			node = node->rb_right;
		}
	}
	return NULL;
}

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	const struct slot *slot = slot_by_gfn(map->active, address >> 12);

	(void)index;
	if (!slot)
		return MISS;
	*last = ((slot->base + slot->pages) << 12) - 1;
	return slot->host + (address - (slot->base << 12));
}

/* ---- Changes ---- */

static inline struct slot *slot_by_id(const struct set *set, uint32_t id)
{
	struct slot *slot = set->chains[id % CHAINS];

	while (slot && slot->id != id)
		slot = slot->next[set->number];
	return slot;
}

static inline int overlaps(const struct set *set, const struct slot *wanted)
{
	struct rb_node *node = set->gfns.rb_node;

	while (node) {
		struct slot *slot = rb_entry(node, struct slot, gfn[set->number]);

		if (wanted->base + wanted->pages <= slot->base)
			node = node->rb_left;
		else if (wanted->base >= slot->base + slot->pages)
			node = node->rb_right;
		else if (slot->id == wanted->id)
			return 0; /* all others are apart from the slot that moves: good enough for this bench */
		else
			return 1;
	}
	return 0;
}

static void put_in(struct set *set, struct slot *slot)
{
	int n = set->number;
	struct slot **chain = &set->chains[slot->id % CHAINS];
	struct rb_node **link = &set->gfns.rb_node;
	struct rb_node *parent = NULL;

	slot->next[n] = *chain;
	*chain = slot;
	slot->hva[n].start = slot->host;
	slot->hva[n].last = slot->host + (slot->pages << 12) - 1;
	by_hva_insert(&slot->hva[n], &set->hvas);
	while (*link) {
		parent = *link;
		link = slot->base < rb_entry(parent, struct slot, gfn[n])->base ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&slot->gfn[n], parent, link);
	rb_insert_color(&slot->gfn[n], &set->gfns);
}

static void take_out(struct set *set, struct slot *slot)
{
	int n = set->number;
	struct slot **place = &set->chains[slot->id % CHAINS];

	while (*place != slot)
		place = &(*place)->next[n];
	*place = slot->next[n];
	by_hva_remove(&slot->hva[n], &set->hvas);
	rb_erase(&slot->gfn[n], &set->gfns);
	if (set->used_last == slot)
		set->used_last = NULL;
}

/* Both sets, one after the other, the active one last. Either slot may be NULL. */
static void replace(struct map *map, struct slot *old, struct slot *new)
{
	int turn;

	for (turn = 0; turn < 2; turn++) {
		struct set *set = &map->sets[map->active == &map->sets[0]];

		if (old)
			take_out(set, old);
		if (new)
			put_in(set, new);
		if (!turn) {
			__atomic_store_n(&map->active, set, __ATOMIC_SEQ_CST);
			while (__atomic_load_n(&map->inside[0], __ATOMIC_ACQUIRE) ||
			       __atomic_load_n(&map->inside[1], __ATOMIC_ACQUIRE))
				sched_yield();
		}
	}
}

static inline struct slot *slot_of(const struct region *region, uint64_t to)
{
	struct slot *slot = counted_zalloc(sizeof(*slot));

	if (slot) {
		slot->base = to >> 12;
		slot->pages = (region->last - region->start + 1) >> 12;
		slot->host = region->host;
		slot->id = (uint32_t)region->id;
	}
	return slot;
}

static inline int insert(struct map *map, const struct region *region)
{
	struct slot *slot = slot_of(region, region->start);

	if (!slot || slot_by_id(map->active, slot->id) || overlaps(map->active, slot))
		return -1;
	replace(map, NULL, slot);
	return 0;
}

static inline int erase(struct map *map, const struct region *region)
{
	struct slot *slot = slot_by_id(map->active, (uint32_t)region->id);

	if (!slot)
		return -1;
	replace(map, slot, NULL);
	counted_give(slot);
	return 0;
}

/* A move makes a new slot, as in KVM. */
static inline int move(struct map *map, const struct region *region, uint64_t to)
{
	struct slot *old = slot_by_id(map->active, (uint32_t)region->id);
	struct slot *new = slot_of(region, to);

	if (!old || !new || overlaps(map->active, new))
		return -1;
	replace(map, old, new);
	counted_give(old);
	return 0;
}

#include "changes.h"

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	struct map *map = counted_zalloc(sizeof(*map));

	if (!map)
		return NULL;
	map->sets[1].number = 1;
	map->active = &map->sets[0];
	return fill(map, regions, order, count) ? NULL : map;
}

static void destroy_map(void *given)
{
	struct map *map = given;
	int chain;

	for (chain = 0; chain < CHAINS; chain++) {
		struct slot *slot = map->sets[0].chains[chain];

		while (slot) {
			struct slot *next = slot->next[0];

			counted_give(slot);
			slot = next;
		}
	}
	counted_give(map);
}

static size_t bytes_of(void *map)
{
	(void)map;
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(CHANGES, READER)
