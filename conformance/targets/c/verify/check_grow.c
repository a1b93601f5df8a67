/* SPDX-License-Identifier: Apache-2.0 */
/* Places that are full: they grow in one index, and in the other when it is edited or follows. Blocks do not matter here. */
#include <stdlib.h>
#include <string.h>

#include "verify.h"

struct entry;
static void copy_entries(struct entry *to, const struct entry *from, size_t size);
#define memcpy(to, from, size) copy_entries((void *)(to), (const void *)(from), (size))
#define memmove(to, from, size) copy_entries((void *)(to), (const void *)(from), (size))
#include "follow.c"
#include "places.c"
#undef memcpy
#undef memmove
#include "memory.c"

#define PLACES 2

static struct block blocks[PLACES];
static struct pool pool;
static struct index edited, other;

static void copy_entries(struct entry *to, const struct entry *from, size_t size)
{
	size_t i;

	CLAIM(size % sizeof(*to) == 0 && size / sizeof(*to) <= PLACES, "whole entries");
	for (i = 0; i < PLACES; i++)
		if (i < size / sizeof(*to))
			to[i] = from[i];
}

void block_free(struct pool *of, struct block *block)
{
	CLAIM(of == &pool && block, "a block of the pool");
}

void retire(struct pool *of, struct block *block);
void pool_give(struct pool *of, struct block *block);
size_t fill_hints(const struct run *run, void *hints, size_t from, size_t to);
void move_hints(const struct run *run, void *hints, uint64_t address, bool up);
bool hint_block(struct entry *place, size_t *cut);
void make_directory(struct index *in);
int split(struct pool *of, struct index *in, size_t place, size_t cut);

/* An index of up to PLACES places, with room for one more or without; and the other one, which is like it. */
static bool any_indexes(void)
{
	size_t i, room = PLACES + (nondet_bool() ? 0 : 1);

	pool.memory = memory_or_libc((struct memory){NULL, NULL, NULL});
	edited.places = memory_take(&pool.memory, places_size(room));
	other.places = memory_take(&pool.memory, places_size(room));
	if (!edited.places || !other.places) {
		free(edited.places);
		free(other.places);
		return false;
	}
	edited.room = other.room = room;
	edited.hints = edited.places + room;
	other.hints = other.places + room;
	edited.count = other.count = 1 + any_below(PLACES);
	for (i = 0; i < PLACES; i++) {
		if (i >= edited.count)
			break;
		edited.places[i] = (struct entry){.start = nondet_u64(), .reach = nondet_u64(), .block = &blocks[i]};
		other.places[i] = edited.places[i];
	}
	return true;
}

/* One more place, when it is full; the room of both is the same then, also after it was taken back. */
void grown(void)
{
	struct entry first;
	int result;

	if (!any_indexes())
		return;
	first = edited.places[0];
	result = make_room(&pool, &edited, &other);
	CLAIM(result == 0 || (result == -ENOMEM && edited.room == PLACES && !other.later), "room, or no memory and no change");
	CLAIM(result || edited.count < edited.room, "there is room for one more");
	CLAIM(edited.places[0].block == first.block && edited.places[0].start == first.start, "places are as they were");
	CLAIM((char *)edited.hints == (char *)(edited.places + edited.room), "hints are behind them");
	WITNESS(!result && other.later, "it has grown");
	WITNESS(result, "no memory");
	if (!result && other.later) {
		/* That was taken back, and the other one is edited next. */
		CLAIM(make_room(&pool, &other, &edited) == 0, "it needs no memory by now");
		CLAIM(!other.later && other.room == edited.room && other.places[0].start == first.start, "and has the room, too");
	}
	index_drop(&pool, &edited, true);
	index_drop(&pool, &other, false);
}
