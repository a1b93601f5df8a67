/* SPDX-License-Identifier: Apache-2.0 */
/* The library's memory: counted, and failing when that was asked for. */
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define HEAP_SANITIZED 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define HEAP_SANITIZED 1
#endif

#include "fuzz.h"

#ifdef HEAP_SANITIZED
size_t __sanitizer_get_allocated_size(const volatile void *memory); /* gcc has no header for it */
#endif

#define LARGEST ((size_t)1 << 20) /* the log of a slot can be 256 MiB */

static struct {
	uint64_t blocks;
	uint64_t bytes;
	bool armed;
	bool all;
	uint32_t after;
	bool failed;   /* in this call */
	bool too_much; /* in this call */
} heap;

void heap_begin(void)
{
	memset(&heap, 0, sizeof(heap));
}

void heap_end(void)
{
	if (heap.blocks || heap.bytes)
		differ("the library kept %" PRIu64 " blocks, %" PRIu64 " bytes", heap.blocks, heap.bytes);
}

void heap_fail(uint32_t after, bool all)
{
	heap.armed = true;
	heap.after = after;
	heap.all = all;
}

void *heap_zalloc(void *context, size_t size)
{
	void *memory;

	if (context != &manner)
		differ("zalloc is called with a context that is not its own");
	if (size > LARGEST) {
		heap.too_much = true;
		return NULL;
	}
	if (heap.armed && heap.after-- == 0) {
		heap.armed = heap.all;
		heap.after = 0;
		heap.failed = true;
		return NULL;
	}
	memory = calloc(1, size);
	if (!memory)
		abort();
	heap.blocks++;
	heap.bytes += size;
	return memory;
}

void heap_release(void *context, void *memory, size_t size)
{
	if (context != &manner)
		differ("release is called with a context that is not its own");
	if (!memory)
		return;
#ifdef HEAP_SANITIZED
	if (__sanitizer_get_allocated_size(memory) != (size ? size : 1))
		differ("%zu bytes are released as %zu", __sanitizer_get_allocated_size(memory), size);
#endif
	heap.blocks--;
	heap.bytes -= size;
	free(memory);
}

bool again(int64_t answer, bool may_fail)
{
	bool failed = heap.failed || heap.too_much;

	heap.armed = false;
	heap.failed = false;
	if (!failed || answer != -ENOMEM) {
		heap.too_much = false;
		return false;
	}
	TELL("  = %" PRId64 " as memory failed\n", answer);
	if (!may_fail)
		differ("this call may not run out of memory");
	compare_now();
	return !heap.too_much;
}

bool gave_up(void)
{
	bool yes = heap.too_much;

	heap.too_much = false;
	return yes;
}
