/* SPDX-License-Identifier: Apache-2.0 */
/* A device's calls: errors, mode, and what its tables are asked. Tables and walks are replaced by what is asked of them. */
#include <stdlib.h>

#include "verify.h"

#include "device.c"
#include "memory.c"
#include "miss.c"

#define REGIONS 2

static struct mapping chain[REGIONS];
static size_t filled, clears_table, clears_iotlb, added, removed, walked_segments;
static struct gpamap_device *made;
static uint64_t asked_first, asked_last;
static uint64_t callers;
static bool is_broken; /* there is no memory */

static uint64_t caller(void *context)
{
	(void)context;
	return callers;
}

void table_init(struct gpamap_table *table, const struct memory *memory, size_t limit, uint32_t retirement,
		uint32_t largest_block)
{
	(void)largest_block;
	CLAIM(memory->zalloc && memory->release, "there is memory");
	table->limit = limit;
	table->retirement = retirement;
}

void table_clear(struct gpamap_table *table)
{
	if (table == &made->table)
		clears_table++;
	else
		clears_iotlb++;
}

void table_drop(struct gpamap_table *table)
{
	CLAIM(table == &made->table || table == &made->iotlb, "of the device");
}

int table_take(struct gpamap_table *table, size_t count, struct mapping **taken)
{
	size_t i;

	CLAIM(table == &made->table && count <= REGIONS, "as many as there are regions");
	*taken = count ? chain : NULL;
	for (i = 0; i < REGIONS; i++)
		chain[i].next = i + 1 < count ? &chain[i + 1] : NULL;
	return is_broken ? -ENOMEM : 0;
}

int table_fill(struct gpamap_table *table, struct mapping *taken)
{
	CLAIM(table == &made->table && (!taken || taken == chain), "with what was taken");
	if (nondet_bool())
		return -ENOMEM;
	filled++;
	return 0;
}

int gpamap_table_add(struct gpamap_table *table, const struct gpamap_entry *entry)
{
	CLAIM(table == &made->table && entry->perm == (GPAMAP_READ | GPAMAP_WRITE), "to the memory table");
	asked_first = entry->first;
	asked_last = entry->last;
	added++;
	return is_broken ? -ENOMEM : 0;
}

int gpamap_table_remove(struct gpamap_table *table, uint64_t first, uint64_t last, uint64_t host)
{
	(void)host;
	CLAIM(table == &made->table, "from the memory table");
	asked_first = first;
	asked_last = last;
	removed++;
	return 0;
}

int gpamap_table_remove_range(struct gpamap_table *table, uint64_t first, uint64_t last)
{
	return gpamap_table_remove(table, first, last, 0);
}

static int walk_error;
static const struct index *walk_index;

int walk(const struct index *index, uint64_t addr, uint64_t length, uintptr_t denied, int refusal,
	 struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	(void)addr;
	(void)segments;
	(void)room;
	CLAIM(refusal == -EPERM && (denied == GPAMAP_READ || denied == GPAMAP_WRITE), "by what is denied");
	walk_index = index;
	*reach = (struct gpamap_reach){nondet_u64(), nondet_size()};
	ASSUME(reach->bytes <= length && (wide)addr + reach->bytes <= TWO_TO_64);
	return walk_error;
}

void table_walked(struct gpamap_table *table, const struct gpamap_segment *segments, size_t count)
{
	(void)segments;
	CLAIM(&table_index(table)->entries == &walk_index->entries, "of the table that was asked");
	walked_segments = count;
}

/* Any device without misses. */
static struct gpamap_device *any_device(void)
{
	struct gpamap_device_config config = {.max_regions = nondet_u32(),
					      .iotlb_limit = nondet_size(),
					      .user_limit = nondet_u64(),
					      .features = nondet_u64(),
					      .retirement = nondet_u32(),
					      .largest_block = nondet_u32(),
					      .iotlb_follows = nondet_u32(),
					      .caller = nondet_bool() ? caller : NULL};
	bool is_good = config.largest_block <= GPAMAP_LARGEST_BLOCK && config.iotlb_limit && config.iotlb_follows <= 1 &&
		       (config.retirement == GPAMAP_FIFO || config.retirement == GPAMAP_LRU);
	int result = gpamap_device_create(&config, &made);

	CLAIM(result == (is_good ? 0 : -EINVAL) || (is_good && result == -ENOMEM), "what cannot be is refused");
	if (!result)
		CLAIM(made->table.limit == (config.max_regions < config.iotlb_limit ? config.max_regions : config.iotlb_limit) &&
			      made->iotlb.limit == config.iotlb_limit && made->framing == 1 && !gpamap_device_table(made) &&
			      !gpamap_device_iotlb(made),
		      "a device without anything");
	ASSUME(!result);
	made->table.gate.published = &made->table.views[0];
	made->iotlb.gate.published = &made->iotlb.views[0];
	callers = nondet_u64();
	CLAIM(gpamap_device_set_owner(made) == 0 && gpamap_device_set_owner(made) == -EBUSY, "it is owned once");
	callers = nondet_u64(); /* another process, or the same */
	made->owned = nondet_bool();
	made->has_table = nondet_bool();
	made->has_iotlb = nondet_bool();
	is_broken = nondet_bool();
	return made;
}

static bool may(const struct gpamap_device *device)
{
	return device->owned && (!device->config.caller || callers == device->owner);
}

/* The memory table, as a whole or region by region. */
void regions(void)
{
	struct gpamap_device *device = any_device();
	struct gpamap_memory_region region[REGIONS];
	struct gpamap_memory_table table = {.nregions = nondet_u32(), .padding = nondet_u32(),
					    .regions = nondet_bool() ? region : NULL};
	bool is_given = nondet_bool(), is_bad = false;
	uint64_t first = nondet_u64(), size = nondet_u64(), host = nondet_u64();
	size_t i;
	int expected, result;

	for (i = 0; i < REGIONS; i++) {
		region[i] = (struct gpamap_memory_region){nondet_u64(), nondet_u64(), nondet_u64()};
		is_bad |= i < table.nregions && (!region[i].size || (wide)region[i].gpa + region[i].size > TWO_TO_64);
	}
	ASSUME(device->config.max_regions <= REGIONS);
	expected = !may(device)						   ? -EPERM
		   : !is_given						   ? -EFAULT
		   : table.padding					   ? -EOPNOTSUPP
		   : table.nregions > device->config.max_regions	   ? -E2BIG
		   : table.nregions && !table.regions			   ? -EFAULT
		   : table.nregions > device->config.iotlb_limit	   ? -E2BIG
		   : is_bad						   ? -EFAULT
									   : 0;
	result = gpamap_device_set_mem_table(device, is_given ? &table : NULL);
	CLAIM(result == expected || (!expected && result == -ENOMEM), "the first error of all, or no memory");
	CLAIM(filled == !result, "the table is filled, or nothing is done");
	for (i = 0; i < REGIONS; i++)
		if (!result && i < table.nregions)
			CLAIM(chain[i].first == region[i].gpa && (wide)chain[i].first + chain[i].item.span + 1 == (wide)region[i].gpa + region[i].size &&
				      chain[i].host == region[i].hva && chain[i].perm == 3,
			      "with the bytes of each region");
	WITNESS(!result && table.nregions == REGIONS, "two regions");
	WITNESS(!result && !table.nregions, "none");
	result = gpamap_device_add_region(device, first, size, host);
	expected = !may(device) ? -EPERM : !size || (wide)first + size > TWO_TO_64 ? -EFAULT : is_broken ? -ENOMEM : 0;
	CLAIM(result == expected && added == (!expected || expected == -ENOMEM), "one more, or an error");
	if (added)
		CLAIM(asked_first == first && (wide)asked_last + 1 == (wide)first + size, "with its exact bytes");
	WITNESS(!result && asked_last == UINT64_MAX, "up to the last address");
	result = gpamap_device_remove_region(device, first, size, host);
	CLAIM(result == (!may(device) ? -EPERM : !size || (wide)first + size > TWO_TO_64 ? -ENOENT : 0), "it goes, or was not there");
	CLAIM(gpamap_device_remove_range(device, first, host) == (may(device) ? 0 : -EPERM), "a range goes");
	gpamap_device_destroy(device);
}

/* Modes and owners. */
void modes(void)
{
	struct gpamap_device *device = any_device();
	uint64_t features = nondet_u64();
	bool is_given = nondet_bool(), had = device->has_iotlb;
	int result = gpamap_device_set_features(device, is_given ? &features : NULL);

	CLAIM(result == (!is_given ? -EFAULT : features & ~device->config.features ? -EOPNOTSUPP : 0), "what was offered");
	if (!result) {
		bool wants = features & GPAMAP_ACCESS_PLATFORM;
		bool leaves = !wants && had && device->config.iotlb_follows;

		CLAIM(device->has_iotlb == (wants || (had && !leaves)), "an IOTLB comes, stays, or goes");
		CLAIM(clears_iotlb == (wants || leaves), "then it is empty");
	}
	WITNESS(!result && had && !device->has_iotlb, "it goes");
	WITNESS(!result && had && !(features & GPAMAP_ACCESS_PLATFORM) && device->has_iotlb, "it stays");
	features = nondet_u64();
	result = gpamap_device_set_backend_features(device, is_given ? &features : NULL);
	CLAIM(result == (!is_given ? -EFAULT : features & ~(uint64_t)GPAMAP_MESSAGES_V2 ? -EOPNOTSUPP : 0), "messages");
	if (!result)
		CLAIM(device->framing == (features ? 2 : 1), "of the first kind, or the second");
	clears_table = 0;
	result = gpamap_device_reset_owner(device);
	CLAIM(result == (may(device) || (!result && !device->owned) ? 0 : -EPERM), "only the owner gives it up");
	if (!result)
		CLAIM(!device->owned && gpamap_device_table(device) == &device->table && !gpamap_device_iotlb(device) && clears_table,
		      "it has an empty table then");
	WITNESS(!result, "given up");
	gpamap_device_destroy(device);
}

/* A translation that comes to an end asks for a miss where there is an address. */
void translated(void)
{
	struct gpamap_device *device = any_device();
	uint32_t queue = nondet_u32(), access = nondet_u32();
	uint64_t addr = nondet_u64(), length = nondet_u64();
	struct gpamap_reach reach = {0, 0};
	struct gpamap_miss misses[2];
	bool is_good = queue < GPAMAP_QUEUES && (access == GPAMAP_READ || access == GPAMAP_WRITE), asks;
	int result;
	size_t count;

	walk_error = nondet_bool() ? -EFAULT : nondet_bool() ? -EPERM : 0;
	result = gpamap_device_translate(device, queue, addr, length, access, NULL, nondet_size(), &reach);
	asks = is_good && walk_error == -EFAULT && device->has_iotlb && (wide)addr + reach.bytes < TWO_TO_64;
	CLAIM(result == (!is_good ? -EINVAL : asks ? -EAGAIN : walk_error) || (asks && result == -ENOMEM), "the walk's error, or a miss");
	count = gpamap_device_misses(device, 0, misses, nondet_bool() ? 2 : 0);
	CLAIM(count == (result == -EAGAIN), "one miss, or none");
	CLAIM(gpamap_device_misses(device, 1, misses, 2) == 0, "which was not read");
	if (is_good)
		CLAIM(walk_index == (device->has_iotlb ? &device->iotlb.views[0].index : &device->table.views[0].index),
		      "where there is an IOTLB, that is asked");
	WITNESS(result == -EAGAIN && reach.bytes, "a miss behind bytes that are there");
	WITNESS(result == -EFAULT && device->has_iotlb && is_good, "none: past the last address");
	gpamap_device_destroy(device);
}
