/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gpamap.h says, as plainly as it can be written: one array of slots in no order, every member of which is looked at
 * for every question. There is no second set: a transaction works on a copy of the array. A view is the array itself, so
 * that it shows every change at once; whoever compares has to look before the next change.
 */
#ifndef NAIVE_SLOTS_H
#define NAIVE_SLOTS_H

#include <errno.h>
#include <stdbool.h>

#include "gpamap.h"
#include "memory.h"
#include "reader.h"

#define PAGE ((uint64_t)GPAMAP_PAGE_SIZE)

/* One bit for each page. A slot of the array and one of its copy in a transaction may have the same log. */
struct log {
	size_t users;
	uint64_t npages;
	uint64_t words[];
};

struct slot {
	uint32_t word;
	uint32_t flags;
	uint64_t first;
	uint64_t last;
	uint64_t host;
	struct log *log; /* NULL: none is kept */
};

/* Slots, in any order. */
struct gpamap_view {
	struct gpamap *map;
	struct slot *slots;
	size_t count;
	size_t room;
};

struct gpamap {
	struct gpamap_config config;
	uint64_t owner;
	struct gpamap_view now;
	struct gpamap_view draft; /* while a transaction is begun */
	bool begun;
	bool manual_protect;
	bool initially_set;
	bool has_ring;
	bool accessed;
	struct gpamap_reader *readers;
};

static inline struct slot *slot_named(const struct gpamap_view *view, uint32_t word)
{
	size_t i;

	for (i = 0; i < view->count; i++)
		if (view->slots[i].word == word)
			return &view->slots[i];
	return NULL;
}

#endif
