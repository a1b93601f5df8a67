/* SPDX-License-Identifier: Apache-2.0 */
/* What the maple tree needs of the kernel beyond the shim that the vhost code has: a cache of nodes, RCU that nobody waits
 * for, and tagged pointers. One thread, so a node that nobody reaches any more can go at once. */
#ifndef BENCH_SHIM_MAPLE_H
#define BENCH_SHIM_MAPLE_H
#include "counting.h"

#undef GFP_KERNEL
#define __GFP_DIRECT_RECLAIM 1
#define GFP_KERNEL __GFP_DIRECT_RECLAIM
#define GFP_NOWAIT 0
#define gfpflags_allow_blocking(flags) (!!((flags) & __GFP_DIRECT_RECLAIM))

#define SLAB_PANIC 0
#define __must_hold(lock)
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)

struct kmem_cache {
	size_t size;
	size_t align;
};

static inline struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, int flags, void *ctor)
{
	struct kmem_cache *cache = (struct kmem_cache *)malloc(sizeof(*cache));

	(void)name;
	(void)flags;
	(void)ctor;
	cache->size = size;
	cache->align = align;
	return cache;
}

static inline void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags)
{
	void *memory = aligned_alloc(cache->align, cache->size);

	(void)flags;
	if (memory)
		counted_bytes += cache->size;
	return memory;
}

static inline void kmem_cache_free(struct kmem_cache *cache, void *memory)
{
	counted_bytes -= cache->size;
	free(memory);
}

static inline int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t flags, size_t count, void **nodes)
{
	size_t i;

	for (i = 0; i < count; i++) {
		nodes[i] = kmem_cache_alloc(cache, flags);
		if (!nodes[i])
			break;
	}
	return (int)i;
}

static inline void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **nodes)
{
	while (count--)
		kmem_cache_free(cache, nodes[count]);
}

/* Tagged pointers: bit 0 marks a number, 2 in the two lowest bits marks what is the tree's own. */
static inline void *tagged(unsigned long value, int shift, unsigned long tag)
{
	return (void *)(value << shift | tag);
}

#define xa_mk_value(value) tagged(value, 1, 1)
#define xa_to_value(entry) ((unsigned long)(entry) >> 1)
#define xa_is_value(entry) ((unsigned long)(entry) & 1)
#define xa_mk_internal(value) tagged(value, 2, 2)
#define xa_to_internal(entry) ((unsigned long)(entry) >> 2)
#define xa_is_internal(entry) (((unsigned long)(entry) & 3) == 2)
#define XA_ZERO_ENTRY xa_mk_internal(257)
#define xa_is_zero(entry) unlikely((entry) == XA_ZERO_ENTRY)
#define xa_is_node(entry) (xa_is_internal(entry) && (unsigned long)(entry) > 4096)
#define xa_is_advanced(entry) (xa_is_internal(entry) && (entry) <= xa_mk_internal(256))
#define xa_is_err(entry) unlikely(xa_is_internal(entry) && (entry) >= xa_mk_internal(-MAX_ERRNO))
#define xa_err(entry) (xa_is_err(entry) ? (int)((long)(entry) >> 2) : 0)

#define call_rcu(head, function) (function)(head)
#define trace_ma_op(...) ((void)0)
#define trace_ma_read(...) ((void)0)
#define trace_ma_write(...) ((void)0)
#endif
