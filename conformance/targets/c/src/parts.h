/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of an index share among themselves. */
#ifndef GPAMAP_PARTS_H
#define GPAMAP_PARTS_H

#include "index.h"

#define HINTS_PER_ENTRY 8 /* of one byte in blocks with room for at most NARROW */
#define NARROW 256
#define HINTS_PER_PLACE 8 /* of two bytes */
#define HINTS_AT_ONCE 8   /* bytes are written, so there is room for as many more */

/* search.c */
const struct item *item_of(const struct entry *entry);
struct spot place_for(const struct index *index, const struct entry *new);

/* pool.c */
void block_free(struct pool *pool, struct block *block);
size_t largest_room(const struct pool *pool);
struct block *pool_take(struct pool *pool, size_t need, bool to_remove);
void pool_give(struct pool *pool, struct block *block);
void retire(struct pool *pool, struct block *block);

/* hints.c */
size_t fill_hints(const struct run *run, void *hints, size_t from, size_t to);
bool hint_block(struct entry *place, size_t *cut);
void make_directory(struct index *index);
void move_hints(const struct run *run, void *hints, uint64_t address, bool up);
void hint_inserted(struct entry *place, size_t at);
void hint_removed(struct entry *place, uint64_t reach);

/* places.c */
void free_places(struct pool *pool, struct entry *places, size_t room);
void use_later(struct pool *pool, struct index *index);
int make_room(struct pool *pool, struct index *index, struct index *other);
void note_change(struct index *index, size_t from, size_t end);
struct entry *last_entry(struct entry *place);
void hint_places(struct index *index, size_t from, size_t to);
void settle(struct index *index, size_t place);
void insert_place(struct index *index, size_t before, struct entry new);
void remove_place(struct pool *pool, struct index *index, size_t at);

/* edit.c */
int split(struct pool *pool, struct index *index, size_t place, size_t cut);

#endif
