/* SPDX-License-Identifier: Apache-2.0 */
/* A device: its owner, its mode, its memory table, and translation. */
#include "table.h"

/* ---- Making and freeing ---- */

static bool device_is_bad(const struct gpamap_device_config *config)
{
	return config->largest_block > GPAMAP_LARGEST_BLOCK || config->iotlb_limit < 1 || config->iotlb_follows > 1 ||
	       (config->retirement != GPAMAP_FIFO && config->retirement != GPAMAP_LRU);
}

static size_t most_regions(const struct gpamap_device_config *config)
{
	return config->max_regions < config->iotlb_limit ? config->max_regions : config->iotlb_limit;
}

int gpamap_device_create(const struct gpamap_device_config *config, struct gpamap_device **device)
{
	struct memory memory = {config->zalloc, config->release, config->context};
	struct gpamap_device *new;

	if (device_is_bad(config) || memory_is_bad(&memory))
		return -EINVAL;
	memory = memory_or_libc(memory);
	new = memory_take(&memory, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->config = *config;
	new->memory = memory;
	new->framing = 1;
	table_init(&new->table, &memory, most_regions(config), GPAMAP_REFUSE, config->largest_block);
	table_init(&new->iotlb, &memory, config->iotlb_limit, config->retirement, config->largest_block);
	*device = new;
	return 0;
}

static void forget_misses(struct gpamap_device *device)
{
	misses_drop(&device->memory, &device->unread);
	misses_drop(&device->memory, &device->pending);
}

void gpamap_device_destroy(struct gpamap_device *device)
{
	struct memory memory;

	if (!device)
		return;
	memory = device->memory;
	forget_misses(device);
	table_drop(&device->table);
	table_drop(&device->iotlb);
	memory_give(&memory, device, sizeof(*device));
}

/* ---- The owner ---- */

static uint64_t caller_of(const struct gpamap_device *device)
{
	return device->config.caller ? device->config.caller(device->config.context) : 0;
}

static bool is_from_owner(const struct gpamap_device *device)
{
	return device->owned && caller_of(device) == device->owner;
}

int gpamap_device_set_owner(struct gpamap_device *device)
{
	if (device->owned)
		return -EBUSY;
	device->owned = true;
	device->owner = caller_of(device);
	return 0;
}

int gpamap_device_reset_owner(struct gpamap_device *device)
{
	if (!is_from_owner(device))
		return -EPERM;
	device->owned = false;
	device->framing = 1;
	device->has_table = true;
	table_clear(&device->table);
	device->has_iotlb = false;
	table_clear(&device->iotlb);
	forget_misses(device);
	return 0;
}

/* ---- What was agreed on ---- */

int gpamap_device_set_features(struct gpamap_device *device, const uint64_t *features)
{
	if (!features)
		return -EFAULT;
	if (*features & ~device->config.features)
		return -EOPNOTSUPP;
	if (*features & GPAMAP_ACCESS_PLATFORM) {
		device->has_iotlb = true;
		table_clear(&device->iotlb);
	} else if (device->has_iotlb && device->config.iotlb_follows) {
		device->has_iotlb = false;
		table_clear(&device->iotlb);
		forget_misses(device);
	}
	return 0;
}

int gpamap_device_set_backend_features(struct gpamap_device *device, const uint64_t *features)
{
	if (!features)
		return -EFAULT;
	if (*features & ~(uint64_t)GPAMAP_MESSAGES_V2)
		return -EOPNOTSUPP;
	device->framing = *features & GPAMAP_MESSAGES_V2 ? 2 : 1;
	return 0;
}

/* ---- The memory table ---- */

static int check_table(const struct gpamap_device *device, const struct gpamap_memory_table *table)
{
	uint32_t i;

	if (!is_from_owner(device))
		return -EPERM;
	if (!table)
		return -EFAULT;
	if (table->padding)
		return -EOPNOTSUPP;
	if (table->nregions > device->config.max_regions)
		return -E2BIG;
	if (table->nregions && !table->regions)
		return -EFAULT;
	if (table->nregions > device->config.iotlb_limit)
		return -E2BIG;
	for (i = 0; i < table->nregions; i++)
		if (!is_range(table->regions[i].gpa, table->regions[i].size))
			return -EFAULT;
	return 0;
}

int gpamap_device_set_mem_table(struct gpamap_device *device, const struct gpamap_memory_table *table)
{
	struct mapping *taken, *mapping;
	uint32_t i;
	int error = check_table(device, table);

	if (error)
		return error;
	if (table_take(&device->table, table->nregions, &taken))
		return -ENOMEM;
	for (i = 0, mapping = taken; i < table->nregions; i++, mapping = mapping->next) {
		const struct gpamap_memory_region *region = &table->regions[i];

		mapping->first = region->gpa;
		mapping->item.span = region->size - 1;
		mapping->host = region->hva;
		mapping->perm = GPAMAP_READ | GPAMAP_WRITE;
	}
	if (table_fill(&device->table, taken))
		return -ENOMEM;
	device->has_table = true;
	return 0;
}

int gpamap_device_add_region(struct gpamap_device *device, uint64_t gpa, uint64_t size, uint64_t hva)
{
	struct gpamap_entry entry = {gpa, gpa + (size - 1), hva, GPAMAP_READ | GPAMAP_WRITE};
	int error;

	if (!is_from_owner(device))
		return -EPERM;
	if (!is_range(gpa, size))
		return -EFAULT;
	error = gpamap_table_add(&device->table, &entry);
	if (error)
		return error;
	device->has_table = true;
	return 0;
}

int gpamap_device_remove_region(struct gpamap_device *device, uint64_t gpa, uint64_t size, uint64_t hva)
{
	if (!is_from_owner(device))
		return -EPERM;
	if (!is_range(gpa, size))
		return -ENOENT;
	return gpamap_table_remove(&device->table, gpa, gpa + (size - 1), hva);
}

int gpamap_device_remove_range(struct gpamap_device *device, uint64_t first, uint64_t last)
{
	if (!is_from_owner(device))
		return -EPERM;
	return gpamap_table_remove_range(&device->table, first, last);
}

/* ---- Translation ---- */

int gpamap_device_translate(struct gpamap_device *device, uint32_t queue, uint64_t addr, uint64_t length, uint32_t access,
			    struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	struct gpamap_table *table = device->has_iotlb ? &device->iotlb : &device->table;
	int error;

	if (queue >= GPAMAP_QUEUES || (access != GPAMAP_READ && access != GPAMAP_WRITE))
		return -EINVAL;
	error = walk(table_index(table), addr, length, access, -EPERM, segments, room, reach);
	/* A miss is asked for where there is such an address: the sum did not wrap. */
	if (error == -EFAULT && device->has_iotlb && addr + reach->bytes >= addr) {
		struct gpamap_miss seen = {queue, access, addr + reach->bytes, device->framing};
		struct miss *miss = miss_new(&device->memory, seen);

		if (!miss)
			return -ENOMEM;
		misses_add(&device->unread, miss);
		error = -EAGAIN;
	}
	table_walked(table, segments, reach->segments);
	return error;
}

/* ---- Looking ---- */

const struct gpamap_table *gpamap_device_table(const struct gpamap_device *device)
{
	return device->has_table ? &device->table : NULL;
}

const struct gpamap_table *gpamap_device_iotlb(const struct gpamap_device *device)
{
	return device->has_iotlb ? &device->iotlb : NULL;
}

size_t gpamap_device_misses(const struct gpamap_device *device, int read, struct gpamap_miss *misses, size_t room)
{
	const struct miss *miss = read ? device->pending.oldest : device->unread.oldest;
	size_t count;

	for (count = 0; miss; miss = miss->next, count++)
		if (count < room)
			misses[count] = miss->seen;
	return count;
}
