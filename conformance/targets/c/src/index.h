/* SPDX-License-Identifier: Apache-2.0 */
/* What slot maps and tables share: where memory comes from, and ranges in order. */
#ifndef GPAMAP_INDEX_H
#define GPAMAP_INDEX_H

#include <errno.h>
#include <stdbool.h>

#include "gpamap.h"

struct memory {
	void *(*zalloc)(void *context, size_t size);
	void (*release)(void *context, void *memory, size_t size);
	void *context;
};

struct slot;
struct mapping;

/* Ranges in order of (start, rank), which no two share. `reach` is the largest `last` up to and with this entry: it never
 * falls, so that one binary search finds the leftmost entry that reaches an address, whether ranges overlap or not. */
struct entry {
	uint64_t start;
	uint64_t last;
	uint64_t reach;
	uint64_t rank;
	union {
		struct slot *slot;
		struct mapping *mapping;
	};
};

/* `spare` is a larger array, waiting until the index may be changed. */
struct index {
	struct entry *entries;
	size_t count;
	size_t room;
	struct entry *spare;
	size_t spare_room;
};

/* memory.c */
bool memory_is_bad(const struct memory *memory);
struct memory memory_or_libc(struct memory memory);
void *memory_take(const struct memory *memory, size_t size);
void memory_give(const struct memory *memory, void *block, size_t size);

/* index.c */
size_t index_seek(const struct index *index, uint64_t address);
const struct entry *index_at(const struct index *index, uint64_t address);
size_t index_next(const struct index *index, size_t position, uint64_t first, uint64_t last);
size_t index_place(const struct index *index, uint64_t start, uint64_t rank);
int index_reserve(const struct memory *memory, struct index *index, size_t room);
void index_insert(const struct memory *memory, struct index *index, struct entry entry);
void index_remove(struct index *index, uint64_t start, uint64_t rank);
void index_cut(struct index *index, size_t count, size_t changed_from);
void index_drop(const struct memory *memory, struct index *index);

#endif
