/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The structure of a table and of a device, and what holds of them.
 *
 *     device ── memory table ──┐
 *      │                       ├─ two views ── index: mappings by (first, age)     the order in which they count
 *      ├── IOTLB ──────────────┘  queue: mappings from the next to be given up to the last
 *      └── misses: not read, read
 *
 * A table holds each mapping in its indexes and in its queue, once each. The queue has the order of ages, unless the table
 * is GPAMAP_LRU: then a mapping goes to its end when it is used. Between calls the two views are alike (gate.h), but in a
 * transaction: then index and queue are those of the private view, and nothing is used, so that all that came is at the
 * queue's end, and what went can go back behind the one that was before it.
 */
#ifndef GPAMAP_TABLE_H
#define GPAMAP_TABLE_H

#include "gate.h"
#include "gpamap_vhost.h"
#include "index.h"
#include "translate.h"

struct mapping {
	struct item item; /* rank: how many were added before */
	uint64_t first;   /* guest byte */
	uint64_t host;
	uint32_t perm;
	struct mapping *sooner; /* given up before this one */
	struct mapping *later;
	struct mapping *next; /* of those that were taken, or that went */
};

struct gpamap_table_view {
	struct index index;
	uint64_t version; /* how many were published before, from 1 on */
};

struct gpamap_table {
	struct pool pool;
	struct gate gate;
	struct gpamap_table_view views[2];
	size_t limit;
	uint32_t retirement;
	struct mapping *next_out;
	struct mapping *last_out;
	struct mapping *went; /* taken out since the last publication: the last one comes first */
	uint64_t added;       /* the rank of the next mapping */
	uint64_t came;        /* the rank of the first mapping that was added since the last publication */
	bool begun;           /* a transaction: nothing is published until it ends */
};

/* Misses in the order in which they came. */
struct miss {
	struct gpamap_miss seen;
	struct miss *next;
};

struct misses {
	struct miss *oldest;
	struct miss *newest;
};

struct gpamap_device {
	struct gpamap_device_config config;
	struct memory memory;
	bool owned;
	uint64_t owner;
	uint32_t framing; /* of the misses to come */
	bool has_table;
	bool has_iotlb;
	struct gpamap_table table; /* empty without has_table */
	struct gpamap_table iotlb; /* empty without has_iotlb */
	struct misses unread;
	struct misses pending;
};

/* Whether `size` bytes from an address on are a range: at least one byte, and none past the last address. */
static inline bool is_range(uint64_t first, uint64_t size)
{
	return size && size - 1 <= UINT64_MAX - first;
}

static inline struct mapping *mapping_of(const struct entry *entry)
{
	return entry_item(entry);
}

static inline uint64_t mapping_last(const struct mapping *mapping)
{
	return mapping->first + mapping->item.span;
}

static inline struct gpamap_table_view *published_table(const struct gpamap_table *table)
{
	return gate_published(&table->gate);
}

/* What is published. Between calls the other is like it. */
static inline const struct index *table_index(const struct gpamap_table *table)
{
	return &published_table(table)->index;
}

/* table.c */
void table_init(struct gpamap_table *table, const struct memory *memory, size_t limit, uint32_t retirement,
		uint32_t largest_block);
void table_clear(struct gpamap_table *table);
void table_drop(struct gpamap_table *table);
void table_use(struct gpamap_table *table, struct mapping *mapping);
int table_take(struct gpamap_table *table, size_t count, struct mapping **taken);
int table_fill(struct gpamap_table *table, struct mapping *taken);

/* translate.c */
void table_walked(struct gpamap_table *table, const struct gpamap_segment *segments, size_t count);

/* miss.c */
struct miss *miss_new(const struct memory *memory, struct gpamap_miss seen);
void misses_add(struct misses *misses, struct miss *miss);
struct miss *misses_take_oldest(struct misses *misses);
void misses_answer(const struct memory *memory, struct misses *misses, uint64_t first, uint64_t last,
		   struct gpamap_woken *woken);
void misses_drop(const struct memory *memory, struct misses *misses);

#endif
