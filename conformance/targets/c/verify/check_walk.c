/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over any number of entries and segments. Its loop is looked at by parts: what holds before it (the invariant) is
 * claimed; then any state in which that holds stands for any number of turns; one turn is made; then it holds again, and
 * fewer bytes are left. What comes after the loop follows from it.
 *
 * The search is replaced by what it promises, whatever the number of entries (check_search.c), and so is the step to the next entry
 * (check_step.c): for each address there is a first entry that reaches it, or none.
 */
#include "verify.h"

#define index_at library_index_at
#define index_seek library_index_seek
#include "table.h"
#undef index_at
#undef index_seek

/* The first entry that reaches an address: any function of it. */
uint64_t __CPROVER_uninterpreted_start(uint64_t address);
uint64_t __CPROVER_uninterpreted_last(uint64_t address);
uint64_t __CPROVER_uninterpreted_delta(uint64_t address);
uint64_t __CPROVER_uninterpreted_item(uint64_t address);
bool __CPROVER_uninterpreted_some(uint64_t address);

static struct entry current;

/* False: no entry reaches the address. */
static bool find(uint64_t address)
{
	if (!__CPROVER_uninterpreted_some(address))
		return false;
	current = (struct entry){__CPROVER_uninterpreted_start(address),
				 __CPROVER_uninterpreted_last(address),
				 {__CPROVER_uninterpreted_delta(address)},
				 {__CPROVER_uninterpreted_item(address)}};
	ASSUME(current.start <= current.reach && address <= current.reach);
	return true;
}

static const struct entry *index_at(const struct index *index, uint64_t address)
{
	(void)index;
	return find(address) && current.start <= address ? &current : NULL;
}

static uint64_t sought;

static struct spot index_seek(const struct index *index, uint64_t address)
{
	(void)index;
	sought = address;
	return (struct spot){0, 0};
}

/* What is asked, for all to see. */
static uint64_t addr, length;
static uintptr_t denied;
static int refusal;
static size_t room;
static struct gpamap_segment segments[ROOM];
static size_t one; /* stands for each segment */

/* Exact: sums of 64-bit values do not wrap, and are decided faster than in 128 bits. */
typedef signed __CPROVER_bitvector[67] exact;

#define NO_BYTE_LEFT ((exact)addr + (exact)length) /* the byte after the last that is asked for */
#define TOP ((exact)1 << 64)

/* A segment lies in the leftmost entry that holds its first byte, goes on as far as that or the bytes do, and is permitted. */
static bool is_right(const struct gpamap_segment *segment)
{
	uint64_t first = segment->first;
	exact last = __CPROVER_uninterpreted_last(first);

	return __CPROVER_uninterpreted_some(first) && __CPROVER_uninterpreted_start(first) <= first && first <= last &&
	       first >= addr && first < NO_BYTE_LEFT && !(__CPROVER_uninterpreted_item(first) & denied) &&
	       segment->host == (uint64_t)(first + __CPROVER_uninterpreted_delta(first)) &&
	       segment->last == (last < NO_BYTE_LEFT ? last : NO_BYTE_LEFT - 1);
}

/* Segments 0 .. count - 1 hold all bytes from `addr` to the one before `next`, without a gap. */
static bool are_right(size_t count, exact next)
{
	const struct gpamap_segment *segment = &segments[one];

	if (one >= count)
		return count || next == addr;
	return is_right(segment) && (one || segment->first == addr) &&
	       (exact)segment->last + 1 == (one + 1 < count ? (exact)segment[1].first : next);
}

struct step;
static bool library_step_to(const struct index *index, struct spot spot, struct step *step);
static bool next_step_to(const struct index *index, struct spot spot, struct step *step);
static bool first_step_to(const struct index *index, struct spot spot, struct step *step);
static bool library_step_on(const struct index *index, uint64_t address, struct step *step);
static bool next_step_on(const struct index *index, uint64_t address, struct step *step);

/* In the order in which translate.c names them: what it defines stays the library's; the walk calls what is promised. */
#define JOIN(a, b) a##b
#define NAMED(a, b) JOIN(a, b)
#define NAMED_0 library_step_to
#define NAMED_1 library_step_on
#define NAMED_2 library_step_to
#define NAMED_3 library_step_to
#define NAMED_4 next_step_on
#define NAMED_5 first_step_to
#define step_to NAMED(NAMED_, __COUNTER__)
#define step_on NAMED(NAMED_, __COUNTER__)


static uint64_t was_left;
static size_t turns;

/* The invariant: of what is left, and of what is done. Where bytes are left, the entry that was found last ends before the next. */
#define NEXT (count && !address ? TOP : (exact)address)
#define LEFT_HOLDS                                                                                                  \
	(NEXT + (exact)left == NO_BYTE_LEFT && (count ? NEXT > addr : NEXT == addr) && count <= room && !error &&       \
	 (!count || !left || (step.entry == &current && (uint64_t)(current.reach + 1) == address)))
#define DONE_HOLDS are_right(count, NEXT)

/* A turn was made. Nothing is to be said of what comes after it: any state stands for that. */
static void turned(bool left_holds, bool done_holds, uint64_t left)
{
	CLAIM(left < was_left, "after a turn fewer bytes are left");
	CLAIM(left_holds, "and the invariant holds of them");
	ASSUME(left_holds);
	CLAIM(done_holds, "and of the segments that there are");
	ASSUME(false);
}

/* Nothing was written to the segments so far: they have any content. */
#define while(condition)                                                                                           \
	CLAIM(LEFT_HOLDS && DONE_HOLDS, "before the first turn the invariant holds");                                \
	address = nondet_u64();                                                                                     \
	left = nondet_u64();                                                                                        \
	count = nondet_size();                                                                                      \
	current = (struct entry){nondet_u64(), nondet_u64(), {nondet_u64()}, {nondet_u64()}};                       \
	step.entry = &current;                                                                                      \
	ASSUME(LEFT_HOLDS && DONE_HOLDS);                                                                           \
	for (turns = 0, was_left = left; turns ? (turned(LEFT_HOLDS, DONE_HOLDS, left), false) : (condition); turns++)

#include "translate.c"

#undef while
#undef step_to
#undef step_on

static bool first_step_to(const struct index *index, struct spot spot, struct step *step)
{
	(void)index;
	(void)spot;
	CLAIM(sought == addr, "the first entry is looked for where the bytes begin");
	step->entry = &current;
	return find(addr);
}

static bool next_step_on(const struct index *index, uint64_t address, struct step *step)
{
	(void)index;
	CLAIM(step->entry == &current && address && current.reach == address - 1, "a step goes to the byte after an entry");
	return find(address);
}

void table_use(struct gpamap_table *table, struct mapping *mapping);

/* What a walk gives, whatever it was asked. */
void walked(void)
{
	struct index index = {.count = 1};
	struct gpamap_reach reach;
	exact end;
	int error, expected = 0;

	addr = nondet_u64();
	length = nondet_u64();
	denied = (uintptr_t)any_below(4);
	refusal = nondet_bool() ? -EPERM : -EACCES;
	room = any_below(ROOM + 1);
	one = any_below(ROOM);
	error = walk(&index, addr, length, denied, refusal, segments, room, &reach);
	end = (exact)addr + (exact)reach.bytes;
	CLAIM(reach.segments <= room && end <= NO_BYTE_LEFT && end <= TOP && are_right(reach.segments, end),
	      "segments without a gap, each in the leftmost entry that holds its first byte");
	if (reach.bytes == length)
		expected = 0;
	else if (reach.segments == room)
		expected = -ENOBUFS;
	else if (end == TOP || !__CPROVER_uninterpreted_some((uint64_t)end) ||
		 __CPROVER_uninterpreted_start((uint64_t)end) > end)
		expected = -EFAULT;
	else
		expected = refusal;
	CLAIM(error == expected, "all bytes, or the error of the first byte that cannot be had");
	if (error == refusal)
		CLAIM(__CPROVER_uninterpreted_item((uint64_t)end) & denied, "which is denied");
	WITNESS(!error && reach.segments > 2 && end == TOP, "up to the last address");
	WITNESS(!error && reach.segments == 1 && room > 2, "one segment");
	WITNESS(error == -ENOBUFS && room == 2, "no room");
	WITNESS(error == -EFAULT && end == TOP && reach.segments > 1, "past the last address");
	WITNESS(error == -EFAULT && end < TOP && reach.segments > 1, "a hole");
	WITNESS(error == refusal && reach.segments > 1, "denied");
}
