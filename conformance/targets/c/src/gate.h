/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers enter what is published; the writer publishes something else and waits until they have left.
 *
 * There are two sides of everything that readers read. One is published. Nobody changes it. The writer
 *     edits the other side; gate_publish: stores it as the published one, waits for each reader that is inside;
 *     edits the side that was published until now in the same way: it follows.
 * A reader stores that it is inside and loads the published side: all of these are sequentially consistent. So either the
 * reader finds the new side, or the writer finds the reader inside. A reader that left and entered again has another
 * number in `inside`, and entered after the publication: the writer waits for nobody twice.
 */
#ifndef GPAMAP_GATE_H
#define GPAMAP_GATE_H

#include <stdatomic.h>

#include "gpamap.h"
#include "hit.h"
#include "memory.h"

/* Readers load `published` whenever they enter: it has cache lines that nothing else writes. */
struct gate {
	char front[64];
	_Atomic(void *) published;
	char back[64];
	struct gpamap_reader *readers;
	void (*wait)(void *context);
	void *context;
};

/* `inside` is odd while the reader is inside. Each reader has cache lines of its own. */
struct gpamap_reader {
	char front[64];
	_Alignas(8) _Atomic uint64_t inside; /* said, since gcc -m32 would note that it is so */
	struct gate *gate;
	struct hit hit;
	struct gpamap_reader *next;
	char back[64];
};

void gate_init(struct gate *gate, void *published, void (*wait)(void *context), void *context);
int gate_admit(struct gate *gate, const struct memory *memory, struct gpamap_reader **reader);
void gate_dismiss(struct gate *gate, const struct memory *memory, struct gpamap_reader *reader);
void *gate_enter(struct gpamap_reader *reader);
void gate_publish(struct gate *gate, void *side);

static inline void *gate_published(const struct gate *gate)
{
	return atomic_load_explicit(&gate->published, memory_order_relaxed);
}

#endif
