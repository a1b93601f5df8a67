/* SPDX-License-Identifier: Apache-2.0 */
/* Memory from the user's two functions, or from libc. */
#include <stdlib.h>

#include "memory.h"

static void *libc_zalloc(void *context, size_t size)
{
	(void)context;
	return calloc(1, size);
}

static void libc_release(void *context, void *memory, size_t size)
{
	(void)context;
	(void)size;
	free(memory);
}

/* One function without the other. */
bool memory_is_bad(const struct memory *memory)
{
	return !memory->zalloc != !memory->release;
}

struct memory memory_or_libc(struct memory memory)
{
	if (!memory.zalloc) {
		memory.zalloc = libc_zalloc;
		memory.release = libc_release;
	}
	return memory;
}

void *memory_take(const struct memory *memory, size_t size)
{
	return memory->zalloc(memory->context, size);
}

void memory_give(const struct memory *memory, void *block, size_t size)
{
	memory->release(memory->context, block, size);
}
