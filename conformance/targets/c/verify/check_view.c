/* SPDX-License-Identifier: Apache-2.0 */
/* A view that is made, asked whether another slot has bytes of a range, and freed. The search is replaced by what it promises. */
#include <stdlib.h>

#include "verify.h"

#define index_seek library_index_seek
#define index_entry library_index_entry
#define entry_item library_entry_item
#include "index.h"
#undef index_seek
#undef index_entry
#undef entry_item

static struct spot index_seek(const struct index *index, uint64_t address);
static const struct entry *index_entry(const struct index *index, struct spot spot);
static void *entry_item(const struct entry *entry);

#include "memory.c"
#include "view.c"

#define SLOTS 2

static struct slot slots[SLOTS];
static struct entry entries[SLOTS];
static struct gpamap map;
static struct gpamap_view *view;
static uint64_t sought;

/* Slots are apart, and in order of their guest bytes. */
static struct spot index_seek(const struct index *index, uint64_t address)
{
	CLAIM(index == &view->spaces[0].by_gpa, "in guest memory");
	sought = address;
	return (struct spot){0, last_of(&slots[0]) >= address ? 0 : last_of(&slots[1]) >= address ? 1 : SLOTS};
}

static const struct entry *index_entry(const struct index *index, struct spot spot)
{
	(void)index;
	return spot.at < SLOTS ? &entries[spot.at] : NULL;
}

struct spot index_next(const struct index *index, struct spot spot)
{
	(void)index;
	return (struct spot){0, spot.at + 1};
}

static void *entry_item(const struct entry *entry)
{
	return &slots[entry == &entries[1]];
}

void index_drop(struct pool *pool, struct index *index, bool with_blocks)
{
	CLAIM(pool == &map.pool && (index == &view->spaces[0].by_gpa || index == &view->by_hva) && with_blocks, "all is freed");
}

int index_insert(struct pool *pool, struct index *index, struct index *other, struct entry new);
struct spot index_find(const struct index *index, uint64_t start, uintptr_t item);
int index_open(struct pool *pool, struct index *index, struct spot spot);
void index_remove(struct pool *pool, struct index *index, struct spot spot);
void index_follow(struct pool *pool, struct index *index, struct index *published);

/* Whether another slot has a byte of a range. */
void overlapped(void)
{
	uint64_t first = nondet_u64(), last = nondet_u64();
	uint32_t word = nondet_u32();
	bool result, expected = false;
	size_t i;

	map.config.address_spaces = 1;
	map.pool.memory = memory_or_libc((struct memory){NULL, NULL, NULL});
	view = view_new(&map);
	if (!view)
		return;
	CLAIM(view->nspaces == 1 && view->map == &map && !view_slot(view, nondet_u32()), "a view of no slots");
	ASSUME(first <= last && word < 0x10000);
	for (i = 0; i < SLOTS; i++) {
		slots[i] = (struct slot){.first = nondet_u64(), .item.span = nondet_u64(), .word = nondet_u32()};
		ASSUME(slots[i].first <= UINT64_MAX - slots[i].item.span && (!i || last_of(&slots[i - 1]) < slots[i].first));
		entries[i] = (struct entry){.start = slots[i].first, .reach = last_of(&slots[i])};
		expected |= slots[i].word != word && slots[i].first <= last && first <= last_of(&slots[i]);
	}
	result = view_overlaps(view, word, first, last);
	CLAIM(result == expected && sought == first, "another slot has such a byte, or none has");
	WITNESS(result && first > last_of(&slots[0]), "the second has");
	WITNESS(!result && slots[0].word == word && slots[0].first <= first && last <= last_of(&slots[0]), "only the slot itself");
	view_free(view, true);
}
