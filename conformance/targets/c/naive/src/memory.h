/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for the naive model: it never ends. What a configuration says of memory is checked, and else not used. */
#ifndef NAIVE_MEMORY_H
#define NAIVE_MEMORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void *must_have(void *memory)
{
	if (!memory) {
		fputs("the naive model is out of memory\n", stderr);
		abort();
	}
	return memory;
}

/* `size` bytes, all 0. */
static inline void *some_memory(size_t size)
{
	return must_have(calloc(1, size));
}

/* An array for `count` members of `size` bytes in the place of `array`, which has room for `*room`. */
static inline void *array_for(void *array, size_t *room, size_t count, size_t size)
{
	if (count <= *room)
		return array;
	*room = 2 * count;
	return must_have(realloc(array, *room * size));
}

#endif
