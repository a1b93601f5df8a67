/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks: taken, given back, retired until no reader is in them. */
#include "parts.h"

#define DEFAULT_BLOCK 40
#define ROOM_GRAIN 2u
#define LONE_GRAIN 8u /* of a block that holds more than one beside others may: its copies fit for some changes more */
#define SMALL 8   /* so many full blocks of entries are few: free blocks may then have as much room again, */
#define LITTLE 32 /* and a little more, */
#define FREE 4    /* but no more than so many full blocks */
#define KEPT 40   /* beside more, for so many entries there is room for one in free blocks */
#define ALIGNMENT 32u /* no entry lies across two cache lines */

_Static_assert(sizeof(struct entry) == ALIGNMENT, "an entry has no holes");

void pool_init(struct pool *pool, const struct memory *memory, uint32_t largest)
{
	/* A block of one could not be split. */
	*pool = (struct pool){.memory = *memory, .largest = !largest ? DEFAULT_BLOCK : largest > 1 ? largest : 2};
	pool->end = &pool->free;
}

static size_t block_size(size_t room)
{
	size_t hints = room * HINTS_PER_ENTRY * (room > NARROW ? 2 : 1);

	return sizeof(struct block) + room * sizeof(struct entry) + hints + HINTS_AT_ONCE + ALIGNMENT;
}

static struct block *block_new(struct pool *pool, size_t room)
{
	char *memory = memory_take(&pool->memory, block_size(room));
	struct block *block;

	if (!memory)
		return NULL;
	block = (void *)(memory + (-(uintptr_t)(memory + sizeof(*block)) & (ALIGNMENT - 1)));
	block->memory = memory;
	block->room = (uint32_t)room;
	return block;
}

void block_free(struct pool *pool, struct block *block)
{
	memory_give(&pool->memory, block->memory, block_size(block->room));
}

size_t largest_room(const struct pool *pool)
{
	return 2 * (size_t)pool->largest;
}

static struct block *unlist(struct pool *pool, struct block **link)
{
	struct block *block = *link;

	*link = block->next;
	if (!*link)
		pool->end = link;
	pool->kept -= block->room;
	return block;
}

/* The first block in `free` with room for from .. to entries, or NULL. */
static struct block *take_free(struct pool *pool, size_t from, size_t to)
{
	struct block **link = &pool->free;

	while (*link && ((*link)->room < from || (*link)->room > to))
		link = &(*link)->next;
	return *link ? unlist(pool, link) : NULL;
}

/* A fresh block with room for so many entries, or NULL. A removal may have the spare one, if there is no other. */
struct block *pool_take(struct pool *pool, size_t need, bool to_remove)
{
	size_t grain = need > pool->largest ? LONE_GRAIN : ROOM_GRAIN;
	size_t room = (need + grain - 1) & ~(grain - 1);
	size_t more = pool->held > SMALL * (size_t)pool->largest ? 2 * ROOM_GRAIN : LONE_GRAIN;
	struct block *block = take_free(pool, room, room + more);

	if (!block)
		block = block_new(pool, room);
	if (!block)
		block = take_free(pool, room, SIZE_MAX);
	if (!block && to_remove) {
		block = pool->spare;
		pool->spare = NULL;
	}
	if (block)
		block->fresh = true;
	return block;
}

/* How much room free blocks may have: where little is in use, enough for the copies of a change; else little beside that. */
static size_t room_to_keep(const struct pool *pool)
{
	size_t full = pool->largest;

	if (pool->held > SMALL * full)
		return pool->held / KEPT;
	return pool->held + LITTLE < FREE * full ? pool->held + LITTLE : FREE * full;
}

/* A block that nobody reads. */
void pool_give(struct pool *pool, struct block *block)
{
	if (pool->keeps_spare && !pool->spare && block->room == largest_room(pool)) {
		pool->spare = block;
		return;
	}
	block->next = NULL;
	*pool->end = block;
	pool->end = &block->next;
	pool->kept += block->room;
	/* The oldest go: nobody asks for their size. While there is no spare block, a removal may need any other. */
	while (pool->kept > room_to_keep(pool) && (pool->spare || !pool->keeps_spare))
		block_free(pool, unlist(pool, &pool->free));
}

void retire(struct pool *pool, struct block *block)
{
	if (block->fresh) {
		pool_give(pool, block);
		return;
	}
	block->next = pool->retired;
	pool->retired = block;
}

void pool_free_retired(struct pool *pool)
{
	while (pool->retired) {
		struct block *block = pool->retired;

		pool->retired = block->next;
		pool_give(pool, block);
	}
}

void pool_drop(struct pool *pool)
{
	while (pool->free)
		block_free(pool, unlist(pool, &pool->free));
	if (pool->spare)
		block_free(pool, pool->spare);
}

/* What was retired is still in use: the edits were taken back. */
void pool_keep_retired(struct pool *pool)
{
	pool->retired = NULL;
}

/* From now on a block of the largest room is kept, so that a removal can do without the allocator. */
int pool_keep_spare(struct pool *pool)
{
	if (!pool->spare)
		pool->spare = block_new(pool, largest_room(pool));
	if (!pool->spare)
		return -ENOMEM;
	pool->keeps_spare = true;
	return 0;
}
