/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator that counts what is asked of it (rounded up to what malloc can give), and adds nothing to it: nodes lie in memory
 * as they would without. */
#ifndef BENCH_COUNTING_H
#define BENCH_COUNTING_H
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t counted_bytes;

static inline void *counted(void *memory)
{
	if (memory)
		counted_bytes += malloc_usable_size(memory);
	return memory;
}

static inline void *counted_take(size_t size)
{
	return counted(malloc(size));
}

static inline void *counted_zalloc(size_t size)
{
	return counted(calloc(1, size));
}

static inline void counted_give(void *memory)
{
	if (!memory)
		return;
	counted_bytes -= malloc_usable_size(memory);
	free(memory);
}
#endif
