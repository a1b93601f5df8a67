/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers, and the writer who waits for them: up to two readers that are inside or not, each of which leaves after it was
 * waited for a few times, and may enter again. Atomics are taken as if no other thread ran: what readers do, they do
 * while the writer waits.
 */
#include <stdlib.h>

#include "verify.h"

#define __STDC_NO_THREADS__ 1 /* the writer waits by the callback */
#include "gate.c"
#include "memory.c"

#define READERS 2

static struct gpamap_reader *readers[READERS];
static struct gate gate;
static int sides[2];
static size_t waits;
static bool was_old[READERS]; /* the reader was inside before the publication */

/* While the writer waits, a reader that is inside leaves, or stays, but not more often than once; or one enters. */
static void pass(void *context)
{
	size_t i;

	CLAIM(context == &waits, "the user's own");
	CLAIM(gate.published == &sides[1], "who enters by now finds what is new");
	waits++;
	for (i = 0; i < READERS; i++) {
		if (!readers[i])
			continue;
		if (readers[i]->inside % 2 && (waits > 1 || nondet_bool())) {
			gpamap_leave(readers[i]);
			was_old[i] = false;
		}
		if (readers[i]->inside % 2 == 0 && nondet_bool())
			CLAIM(gate_enter(readers[i]) == &sides[1], "so it does");
	}
}

void published(void)
{
	struct memory memory = memory_or_libc((struct memory){NULL, NULL, NULL});
	size_t i, count = any_below(READERS + 1), inside = 0;
	uint64_t before;

	gate_init(&gate, &sides[0], pass, &waits);
	for (i = 0; i < READERS; i++) {
		if (i >= count)
			break;
		if (gate_admit(&gate, &memory, &readers[i])) {
			readers[i] = NULL;
			break;
		}
		CLAIM(gate.readers == readers[i], "a reader is admitted");
		readers[i]->inside = 2 * (nondet_u64() / 2); /* however often it was inside */
		before = readers[i]->inside;
		if (nondet_bool()) {
			CLAIM(gate_enter(readers[i]) == &sides[0], "it enters what is published");
			CLAIM(readers[i]->inside == before + 1, "and is inside");
			was_old[i] = true;
			inside++;
		}
	}
	gate_publish(&gate, &sides[1]);
	CLAIM(gate_published(&gate) == &sides[1], "it is published");
	for (i = 0; i < READERS; i++)
		CLAIM(!was_old[i], "nobody is where he was before");
	WITNESS(inside == READERS && waits == 2, "it waited twice");
	WITNESS(readers[1] && !inside && !waits, "nobody was inside");
	WITNESS(inside == 1 && waits && readers[1] && readers[1]->inside % 2, "one entered meanwhile");
	/* They go, the second first or last. */
	i = nondet_bool();
	gate_dismiss(&gate, &memory, readers[i]);
	gate_dismiss(&gate, &memory, readers[1 - i]);
	CLAIM(!gate.readers, "all are dismissed");
}

/* One function without the other is no memory. */
void memory_given(void)
{
	struct memory memory = {nondet_bool() ? libc_zalloc : NULL, nondet_bool() ? libc_release : NULL, NULL};
	bool is_bad = memory_is_bad(&memory);
	void *taken;

	CLAIM(is_bad == (!memory.zalloc != !memory.release), "both, or neither");
	ASSUME(!is_bad);
	memory = memory_or_libc(memory);
	CLAIM(memory.zalloc && memory.release, "there is memory");
	taken = memory_take(&memory, 3);
	if (taken) {
		CLAIM(((char *)taken)[0] == 0 && ((char *)taken)[2] == 0, "of bytes that are 0");
		memory_give(&memory, taken, 3);
	}
	WITNESS(taken, "there is");
	WITNESS(!taken, "there is none");
}
