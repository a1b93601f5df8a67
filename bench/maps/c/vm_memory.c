/* SPDX-License-Identifier: Apache-2.0 */
/* The vm-memory crate. Its loops are in rust/src/lib.rs; this hands them to the bench. */
#include "abi.h"
#include "clock.h"

void *rust_create(const struct region *regions, size_t count);
void rust_destroy(void *map);
size_t rust_bytes(void);
uint64_t rust_throughput(void *map, struct work *work);
uint64_t rust_latency(void *map, struct work *work);
uint64_t rust_translate(void *map, struct work *work);
uint64_t rust_answer(void *map, struct work *work);
uint64_t rust_insert(void *map, const struct region *regions, size_t count);
uint64_t rust_remove(void *map, const struct region *regions, size_t count);
uint64_t rust_move(void *map, const struct region *regions, const uint64_t *to, size_t count);

/* For the loops in Rust. */
uint64_t bench_now(void);
uint64_t bench_now(void)
{
	return now();
}

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	(void)order;
	return rust_create(regions, count);
}

static const char *why_not(void)
{
	return "";
}

static size_t bytes_of(void *map)
{
	(void)map;
	return rust_bytes();
}

__attribute__((visibility("default"))) const struct contestant *contestant(void)
{
	static const struct contestant made = {
		create_map,  rust_destroy, why_not,     bytes_of,    rust_throughput, rust_latency, rust_translate,
		rust_answer, rust_insert,  rust_remove, rust_move, NULL,
	};
	return &made;
}
