/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAILING_H
#define FAILING_H

#include <stdbool.h>

#include "check.h"

/* Memory that fails at the allocation with number `fail_at`, or from that one on, and counts bytes. */
struct memory {
	size_t fail_at;
	bool stays_out;
	size_t count;
	size_t in_use;
};

static inline void *zalloc(void *context, size_t size)
{
	struct memory *memory = context;

	size_t number = memory->count++;

	if (number == memory->fail_at || (memory->stays_out && number > memory->fail_at))
		return NULL;
	memory->in_use += size;
	return calloc(1, size);
}

static inline void release(void *context, void *block, size_t size)
{
	struct memory *memory = context;

	CHECK(block && memory->in_use >= size);
	memory->in_use -= size;
	free(block);
}

#endif
