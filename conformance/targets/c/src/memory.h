/* SPDX-License-Identifier: Apache-2.0 */
/* Where memory comes from: the user's two functions, or libc's. */
#ifndef GPAMAP_MEMORY_H
#define GPAMAP_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct memory {
	void *(*zalloc)(void *context, size_t size);
	void (*release)(void *context, void *memory, size_t size);
	void *context;
};

bool memory_is_bad(const struct memory *memory);
struct memory memory_or_libc(struct memory memory);
void *memory_take(const struct memory *memory, size_t size);
void memory_give(const struct memory *memory, void *block, size_t size);

#endif
