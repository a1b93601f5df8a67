/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of QEMU's physical memory dispatch: a radix tree over page numbers, 9 bits a level, in which chains of nodes with one
 * child are skipped, and the section that was found last is tried first. It is built as a whole. Written from the
 * description of that design.
 */
#include "counting.h"

#define BITS 9
#define CHILDREN (1 << BITS)
#define TOP ((64 - 12 - 1) / BITS) /* the highest level */
#define NOTHING ((1u << 26) - 1)
#define MOST_NODES (1u << 17) /* 256 MiB */

/* With skip 0 `to` is a section, otherwise a node so many levels further down. */
struct entry {
	uint32_t skip : 6;
	uint32_t to : 26;
};

struct node {
	struct entry children[CHILDREN];
};

struct map {
	struct entry root;
	struct node *nodes;
	uint32_t count;
	uint32_t room;
	struct region *sections; /* [0]: no section */
	const struct region *used_last;
};

#include "loops.h"

static inline int covers(const struct region *section, uint64_t address)
{
	return address >= section->start && address <= section->last;
}

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	const struct region *section = map->used_last;

	(void)index;
	if (!covers(section, address)) {
		struct entry entry = map->root;
		int level = TOP + 1;

		while (entry.skip) {
			level -= entry.skip;
			if (level < 0 || entry.to == NOTHING)
				return MISS;
			entry = map->nodes[entry.to].children[(address >> (12 + level * BITS)) & (CHILDREN - 1)];
		}
		section = &map->sections[entry.to];
		if (!covers(section, address)) /* also where levels were skipped */
			return MISS;
		map->used_last = section;
	}
	*last = section->last;
	return section->host + (address - section->start);
}

static uint32_t new_node(struct map *map, int level)
{
	struct entry empty = {.skip = level ? 1 : 0, .to = level ? NOTHING : 0};
	int i;

	if (map->count == map->room) {
		uint32_t room = map->room ? map->room * 2 : 16;
		struct node *larger = room <= MOST_NODES ? counted_take(room * sizeof(*larger)) : NULL;

		if (!larger)
			return NOTHING;
		if (map->count)
			memcpy(larger, map->nodes, map->count * sizeof(*larger));
		counted_give(map->nodes);
		map->nodes = larger;
		map->room = room;
	}
	for (i = 0; i < CHILDREN; i++)
		map->nodes[map->count].children[i] = empty;
	return map->count++;
}

/* What is left of a range of pages, as far as it lies below one node of this level. */
static int set(struct map *map, uint32_t node, int level, uint64_t *page, uint64_t *left, uint32_t section)
{
	uint64_t step = 1ull << (level * BITS);
	uint64_t child = (*page >> (level * BITS)) & (CHILDREN - 1);

	for (; *left && child < CHILDREN; child++) {
		if (!(*page & (step - 1)) && *left >= step) {
			map->nodes[node].children[child] = (struct entry){0, section};
			*page += step;
			*left -= step;
		} else {
			if (map->nodes[node].children[child].to == NOTHING) {
				uint32_t made = new_node(map, level - 1);

				if (made == NOTHING)
					return -1;
				map->nodes[node].children[child].to = made;
			}
			if (set(map, map->nodes[node].children[child].to, level - 1, page, left, section))
				return -1;
		}
	}
	return 0;
}

/* A node with one child, itself a node, is skipped. */
static void compact(struct map *map, struct entry *entry)
{
	struct node *node;
	int used = 0;
	int only = 0;
	int i;

	if (!entry->skip || entry->to == NOTHING)
		return;
	node = &map->nodes[entry->to];
	for (i = 0; i < CHILDREN; i++) {
		if (node->children[i].skip ? node->children[i].to == NOTHING : !node->children[i].to)
			continue;
		compact(map, &node->children[i]);
		used++;
		only = i;
	}
	if (used == 1 && node->children[only].skip) {
		entry->skip += node->children[only].skip;
		entry->to = node->children[only].to;
	}
}

static const char *cannot;

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	struct map *map = counted_zalloc(sizeof(*map));
	size_t i;

	(void)order;
	if (!map)
		return NULL;
	map->sections = counted_zalloc((count + 1) * sizeof(*map->sections));
	map->root = (struct entry){1, new_node(map, TOP)};
	map->sections[0].start = 1; /* covers nothing */
	map->used_last = &map->sections[0];
	for (i = 0; i < count; i++) {
		uint64_t page = regions[i].start >> 12;
		uint64_t left = (regions[i].last - regions[i].start + 1) >> 12;

		map->sections[i + 1] = regions[i];
		if (set(map, map->root.to, TOP, &page, &left, (uint32_t)i + 1)) {
			cannot = "its tables would take more than 256 MiB";
			counted_give(map->nodes);
			counted_give(map->sections);
			counted_give(map);
			return NULL;
		}
	}
	compact(map, &map->root);
	return map;
}

static void destroy_map(void *given)
{
	struct map *map = given;

	counted_give(map->nodes);
	counted_give(map->sections);
	counted_give(map);
}

static size_t bytes_of(void *map)
{
	(void)map;
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(NO_CHANGES, NO_READER)
