/* SPDX-License-Identifier: Apache-2.0 */
/* One contestant's loops in a process of its own, for callgrind, which collects nothing but what runs between COUNTED's braces, and
 * dumps it under a name: runner CONTESTANT DIRECTORY [grow]. The directory has plain arrays (see instructions.py). What malloc is
 * asked for meanwhile is counted here, and printed. Only with `grow` are maps filled from nothing. */
#include <string.h>

#include <valgrind/callgrind.h>

#include "content.h"

static size_t allocations;

/* glibc's own, by the names it has for programs that put something before them. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
	allocations++;
	return __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size)
{
	allocations++;
	return __libc_realloc(memory, size);
}

#define FEWER 20 /* translations than lookups: one has several segments */
#define WARM 5   /* one question in so many is asked before what is counted */

/* Run `call`, which returns UINT64_MAX if it fails, and dump what it took under `name`. */
#define COUNTED(name, call)                                                      \
	do {                                                                     \
		size_t before = allocations;                                     \
		uint64_t took;                                                   \
                                                                                 \
		CALLGRIND_TOGGLE_COLLECT;                                        \
		took = (call);                                                   \
		CALLGRIND_TOGGLE_COLLECT;                                        \
		CALLGRIND_DUMP_STATS_AT(name);                                   \
		printf("%s %zu\n", name, allocations - before);                  \
		if (took == UINT64_MAX) {                                        \
			fprintf(stderr, "runner: %s failed\n", name);            \
			exit(2);                                                 \
		}                                                                \
	} while (0)

static void lookups(const struct contestant *ops, void *map, const char *directory)
{
	static const char *const kinds[] = {"uniform", "zipf"};
	struct work nothing = {0};
	struct work each = questions(directory, "each");
	size_t i;
	int latency;

	COUNTED("nothing", ops->throughput(map, &nothing));
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct work before = questions(directory, kinds[i]);
		struct work work = before;

		/* As where time is measured: each region is asked for once, then come some other questions. */
		before.count /= WARM;
		work.addresses += before.count;
		work.indexes += before.count;
		work.count -= before.count;
		for (latency = 0; latency < 2; latency++) {
			uint64_t (*loop)(void *, struct work *) = latency ? ops->latency : ops->throughput;
			char name[64];

			snprintf(name, sizeof(name), "%s %s", kinds[i], latency ? "latency" : "throughput");
			ops->throughput(map, &each);
			loop(map, &before);
			COUNTED(name, loop(map, &work));
		}
		if (i)
			continue;
		work.count /= FEWER;
		work.length = 1 << 20;
		COUNTED("1 MiB", ops->translate(map, &work));
	}
}

/* Batch after batch: some regions go, come back, move away, and move back. */
static void changes(const struct contestant *ops, void *map, const char *directory)
{
	size_t all;
	size_t one;
	const struct region *away = content(directory, "away", sizeof(*away), &all);
	const struct region *again = content(directory, "again", sizeof(*again), &all);
	const struct region *moved = content(directory, "moved", sizeof(*moved), &all);
	const uint64_t *to = content(directory, "to", sizeof(*to), &all);
	const uint64_t *back = content(directory, "back", sizeof(*back), &all);
	const uint64_t *batch = content(directory, "batch", sizeof(*batch), &one);
	size_t i;

	COUNTED("no change", ops->insert(map, NULL, 0));
	for (i = 0; i < all; i += *batch) {
		COUNTED("remove", ops->remove(map, &away[i], *batch));
		COUNTED("insert", ops->insert(map, &again[i], *batch));
		COUNTED("move", ops->move(map, &away[i], &to[i], *batch));
		COUNTED("move", ops->move(map, &moved[i], &back[i], *batch));
	}
}

/* Map after map, each from nothing to all of its regions. */
static void growth(const struct contestant *ops, const char *directory)
{
	static const char *const orders[] = {"random", "ascending"};
	size_t k;

	for (k = 0; k < sizeof(orders) / sizeof(orders[0]); k++) {
		const struct region *regions;
		const uint64_t *size;
		char name[64];
		size_t all;
		size_t one;
		size_t i;

		snprintf(name, sizeof(name), "grown-%s", orders[k]);
		regions = content(directory, name, sizeof(*regions), &all);
		size = content(directory, "grown", sizeof(*size), &one);
		snprintf(name, sizeof(name), "growth, %s", orders[k]);
		for (i = 0; i < all; i += *size) {
			uint32_t none = 0;
			void *map = ops->create(regions, &none, 0);

			if (!map) {
				fprintf(stderr, "runner: %s\n", ops->why());
				exit(2);
			}
			COUNTED(name, ops->insert(map, &regions[i], *size));
			ops->destroy(map);
		}
	}
}

int main(int argc, char **argv)
{
	const struct contestant *ops;
	struct region *regions;
	uint32_t *order;
	size_t count;
	size_t same;
	void *map;
	int part;

	if (argc != 3 && (argc != 4 || strcmp(argv[3], "grow") != 0)) {
		fprintf(stderr, "usage: runner CONTESTANT DIRECTORY [grow]\n");
		return 2;
	}
	ops = loaded(argv[1]);
	for (part = 0; part < 2; part++) {
		if (part && !ops->insert)
			break;
		regions = content(argv[2], part ? "places" : "regions", sizeof(*regions), &count);
		order = content(argv[2], part ? "places-order" : "order", sizeof(*order), &same);
		/* Lookups find the simulated caches empty, and fill them before anything is counted. Changes would not: what is
		 * made for them is simulated, too, which takes long. */
		if (!part)
			CALLGRIND_STOP_INSTRUMENTATION;
		map = ops->create(regions, order, count);
		if (!part)
			CALLGRIND_START_INSTRUMENTATION;
		if (!map) {
			fprintf(stderr, "runner: %s\n", ops->why());
			return 2;
		}
		if (part)
			changes(ops, map, argv[2]);
		else
			lookups(ops, map, argv[2]);
		ops->destroy(map);
	}
	if (argc == 4)
		growth(ops, argv[2]);
	return 0;
}
