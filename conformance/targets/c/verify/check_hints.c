/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where hints are written. They are moved eight bytes at a time: none of these bytes may lie outside the room that a
 * block has behind its entries. The room here is exactly that, and each access outside it is found.
 */
#include "verify.h"

#include "hints.c"

#ifndef COUNT
#define COUNT 1
#endif
#define BYTES (COUNT * HINTS_PER_ENTRY + HINTS_AT_ONCE)

static struct entry entries[COUNT];
static uint8_t hints[BYTES];

/* A run whose slots have room: those of a block of COUNT entries, with hints of one byte. */
static struct run any_run(void)
{
	struct run run = {
		.entries = entries,
		.hints = hints,
		.count = COUNT,
		.slots = 1 + any_below(COUNT * HINTS_PER_ENTRY),
		.base = nondet_u64(),
		.shift = (unsigned int)any_below(64),
	};
	size_t i;

	for (i = 0; i < COUNT; i++) {
		entries[i].start = nondet_u64();
		entries[i].reach = nondet_u64();
		ASSUME(entries[i].start <= entries[i].reach && (!i || entries[i - 1].reach < entries[i].start));
	}
	for (i = 0; i < BYTES; i++)
		hints[i] = nondet_u8();
	return run;
}

/* Each hint of a slot behind the address is one more or one less, modulo what a byte holds and carries; those before stay. */
void moved(void)
{
	struct run run = any_run();
	uint64_t address = nondet_u64();
	bool up = nondet_bool();
	size_t slot = any_below(COUNT * HINTS_PER_ENTRY);
	size_t behind = slot_behind(&run, address), i;
	uint8_t before = hints[slot];

	for (i = 0; i < BYTES; i++)
		ASSUME(0 < hints[i] && hints[i] < UINT8_MAX); /* else it borrows or carries: such a hint names nothing */
	move_hints(&run, hints, address, up);
	if (slot < behind)
		CLAIM(hints[slot] == before, "those before are as they were");
	else if (slot < run.slots)
		CLAIM(hints[slot] == (uint8_t)(up ? before + 1 : before - 1), "those behind name the next, or the one before");
	WITNESS(run.slots == COUNT * HINTS_PER_ENTRY && behind + 1 == run.slots, "only the last");
	WITNESS(behind == 0, "all");
}

/* The number of slots for a span: the least shift, and no more slots than there is room for. */
void shifts(void)
{
	uint64_t span = nondet_u64();
	size_t most = 2 + any_below(64);
	unsigned int shift = shift_for(span, most);

	CLAIM(shift < 64 && span >> shift < most, "as many slots as there is room for");
	CLAIM(!shift || (span >> (shift - 1)) >= most, "and not with a smaller shift");
	CLAIM(bit_length(span) <= 64 && (!span || (span >> (bit_length(span) - 1)) == 1), "the length of a number in bits");
	WITNESS(span == UINT64_MAX && most == 2, "all addresses in two slots");
	WITNESS(!shift && span > 10, "a slot for each address");
}
