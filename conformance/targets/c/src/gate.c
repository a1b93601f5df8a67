/* SPDX-License-Identifier: Apache-2.0 */
/* Readers, and the writer who waits for them. */
#include <errno.h>

#include "gate.h"

#ifndef __STDC_NO_THREADS__
#include <threads.h>
#endif

void gate_init(struct gate *gate, void *published, void (*wait)(void *context), void *context)
{
	atomic_init(&gate->published, published);
	gate->readers = NULL;
	gate->wait = wait;
	gate->context = context;
}

/* ---- Readers ---- */

int gate_admit(struct gate *gate, const struct memory *memory, struct gpamap_reader **reader)
{
	struct gpamap_reader *new = memory_take(memory, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->gate = gate;
	new->next = gate->readers;
	gate->readers = new;
	*reader = new;
	return 0;
}

void gate_dismiss(struct gate *gate, const struct memory *memory, struct gpamap_reader *reader)
{
	struct gpamap_reader **link = &gate->readers;

	if (!reader)
		return;
	while (*link != reader)
		link = &(*link)->next;
	*link = reader->next;
	memory_give(memory, reader, sizeof(*reader));
}

void *gate_enter(struct gpamap_reader *reader)
{
	uint64_t now = atomic_load_explicit(&reader->inside, memory_order_relaxed);

	atomic_store_explicit(&reader->inside, now + 1, memory_order_seq_cst);
	return atomic_load_explicit(&reader->gate->published, memory_order_seq_cst);
}

void gpamap_leave(struct gpamap_reader *reader)
{
	uint64_t now = atomic_load_explicit(&reader->inside, memory_order_relaxed);

	atomic_store_explicit(&reader->inside, now + 1, memory_order_release);
}

/* ---- The writer ---- */

static void wait_for(struct gate *gate, struct gpamap_reader *reader)
{
	uint64_t seen = atomic_load_explicit(&reader->inside, memory_order_seq_cst);

	if (seen % 2 == 0)
		return;
	while (atomic_load_explicit(&reader->inside, memory_order_seq_cst) == seen) {
		if (gate->wait)
			gate->wait(gate->context);
#ifndef __STDC_NO_THREADS__
		else
			thrd_yield();
#endif
	}
}

/* Publish a side, and wait for the readers of the other. */
void gate_publish(struct gate *gate, void *side)
{
	struct gpamap_reader *reader;

	atomic_store_explicit(&gate->published, side, memory_order_seq_cst);
	for (reader = gate->readers; reader; reader = reader->next)
		wait_for(gate, reader);
}
