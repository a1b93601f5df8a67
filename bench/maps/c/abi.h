/* SPDX-License-Identifier: Apache-2.0 */
/* What a contestant is to the bench: one shared object with one function, `contestant`. Python reads this file too, so it has
 * declarations only. Times are in nanoseconds, ranges include both ends. */
#ifndef BENCH_ABI_H
#define BENCH_ABI_H
#ifdef __cplusplus
#define BENCH_LINKAGE extern "C"
#else
#define BENCH_LINKAGE
#endif

#include <stddef.h>
#include <stdint.h>

/* Guest bytes start .. last live at host bytes host, host + 1, ... Two that touch differ in `host - start`. */
struct region {
	uint64_t start;
	uint64_t last;
	uint64_t host;
	uint64_t id; /* 0, 1, ... in the order in which regions are added */
};

/* Questions, and the answers where they are asked for. */
struct work {
	const uint64_t *addresses;
	const uint32_t *indexes; /* of the regions that hold them: for the floor alone */
	uint64_t *answers;
	size_t count;
	uint64_t length; /* of a translation, in bytes */
	uint64_t zero;   /* is 0, which the compiler does not know */
	uint64_t sum;    /* of all answers: written by the loops, so that no lookup is left out */
	uint64_t found;  /* segments of translations */
};

struct contestant {
	/* A map of these regions, which come in ascending order, and do not overlap; `order` is the order in which to add
	 * them. NULL: this contestant cannot hold them (see `why`). */
	void *(*create)(const struct region *regions, const uint32_t *order, size_t count);
	void (*destroy)(void *map);
	const char *(*why)(void);
	size_t (*bytes)(void *map); /* asked of the allocator for this map; 0: not known */

	/* The loops return how long they took. */
	uint64_t (*throughput)(void *map, struct work *work);
	uint64_t (*latency)(void *map, struct work *work);
	uint64_t (*translate)(void *map, struct work *work);
	uint64_t (*answer)(void *map, struct work *work);

	/* Changes, one after the other; they return how long they took, or UINT64_MAX if one failed. NULL: not for this one.
	 * Region number i is moved to begin at to[i]. */
	uint64_t (*insert)(void *map, const struct region *regions, size_t count);
	uint64_t (*remove)(void *map, const struct region *regions, size_t count);
	uint64_t (*move)(void *map, const struct region *regions, const uint64_t *to, size_t count);

	/* One reader beside one writer: lookups, each entered and left, until *stop is not 0; their number. NULL: not this one. */
	uint64_t (*read_until)(void *map, struct work *work, const volatile int *stop);
};

BENCH_LINKAGE const struct contestant *contestant(void);
#endif
