/* SPDX-License-Identifier: Apache-2.0 */
/* What gpamap_vhost.h says of devices: two tables, and one array of misses. */
#include <errno.h>
#include <stdbool.h>

#include "gpamap_vhost.h"
#include "memory.h"

struct miss {
	struct gpamap_miss is;
	bool read;
};

struct gpamap_device {
	struct gpamap_device_config config;
	bool owned;
	uint64_t owner;
	uint32_t framing;
	struct gpamap_table *table; /* NULL: there is none */
	struct gpamap_table *iotlb;
	struct miss *misses; /* those that were read before those that were not; else the older first */
	size_t count;
	size_t room;
};

/* ---- Tables that come and go ---- */

static struct gpamap_table *new_table(const struct gpamap_device *device)
{
	struct gpamap_table_config config = {.limit = device->config.iotlb_limit};
	struct gpamap_table *table = NULL;

	if (device->config.max_regions < config.limit)
		config.limit = device->config.max_regions;
	(void)gpamap_table_create(&config, &table);
	return table;
}

static struct gpamap_table *new_iotlb(const struct gpamap_device *device)
{
	struct gpamap_table_config config = {.limit = device->config.iotlb_limit,
					     .retirement = device->config.retirement};
	struct gpamap_table *table = NULL;

	(void)gpamap_table_create(&config, &table);
	return table;
}

static void drop(struct gpamap_table **table)
{
	gpamap_table_destroy(*table);
	*table = NULL;
}

/* ---- A device ---- */

int gpamap_device_create(const struct gpamap_device_config *config, struct gpamap_device **device)
{
	if (!config->iotlb_limit || config->iotlb_follows > 1)
		return -EINVAL;
	if (config->retirement != GPAMAP_FIFO && config->retirement != GPAMAP_LRU)
		return -EINVAL;
	if (!config->zalloc != !config->release || config->largest_block > GPAMAP_LARGEST_BLOCK)
		return -EINVAL;
	*device = some_memory(sizeof(**device));
	(*device)->config = *config;
	(*device)->framing = 1;
	return 0;
}

void gpamap_device_destroy(struct gpamap_device *device)
{
	if (!device)
		return;
	drop(&device->table);
	drop(&device->iotlb);
	free(device->misses);
	free(device);
}

static uint64_t caller_of(const struct gpamap_device *device)
{
	return device->config.caller ? device->config.caller(device->config.context) : 0;
}

static bool is_stranger(const struct gpamap_device *device)
{
	return !device->owned || caller_of(device) != device->owner;
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
	if (is_stranger(device))
		return -EPERM;
	device->owned = false;
	device->framing = 1;
	device->count = 0;
	drop(&device->table);
	drop(&device->iotlb);
	device->table = new_table(device);
	return 0;
}

int gpamap_device_set_features(struct gpamap_device *device, const uint64_t *features)
{
	if (!features)
		return -EFAULT;
	if (*features & ~device->config.features)
		return -EOPNOTSUPP;
	if (*features & GPAMAP_ACCESS_PLATFORM) {
		drop(&device->iotlb);
		device->iotlb = new_iotlb(device);
	} else if (device->iotlb && device->config.iotlb_follows) {
		drop(&device->iotlb);
		device->count = 0;
	}
	return 0;
}

int gpamap_device_set_backend_features(struct gpamap_device *device, const uint64_t *features)
{
	if (!features)
		return -EFAULT;
	if (*features != 0 && *features != GPAMAP_MESSAGES_V2)
		return -EOPNOTSUPP;
	device->framing = *features ? 2 : 1;
	return 0;
}

/* ---- The memory table ---- */

static bool is_no_range(uint64_t first, uint64_t size)
{
	return size == 0 || first > UINT64_MAX - (size - 1);
}

static struct gpamap_entry entry_of(uint64_t gpa, uint64_t size, uint64_t hva)
{
	return (struct gpamap_entry){gpa, gpa + (size - 1), hva, GPAMAP_READ | GPAMAP_WRITE};
}

int gpamap_device_set_mem_table(struct gpamap_device *device, const struct gpamap_memory_table *table)
{
	struct gpamap_entry *entries;
	uint32_t i;

	if (is_stranger(device))
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
		if (is_no_range(table->regions[i].gpa, table->regions[i].size))
			return -EFAULT;
	entries = some_memory((table->nregions + 1) * sizeof(*entries));
	for (i = 0; i < table->nregions; i++)
		entries[i] = entry_of(table->regions[i].gpa, table->regions[i].size, table->regions[i].hva);
	drop(&device->table);
	device->table = new_table(device);
	(void)gpamap_table_replace(device->table, entries, table->nregions);
	free(entries);
	return 0;
}

int gpamap_device_add_region(struct gpamap_device *device, uint64_t gpa, uint64_t size, uint64_t hva)
{
	struct gpamap_entry entry = entry_of(gpa, size, hva);

	if (is_stranger(device))
		return -EPERM;
	if (is_no_range(gpa, size))
		return -EFAULT;
	if (!device->config.max_regions)
		return -ENOSPC;
	if (!device->table)
		device->table = new_table(device);
	return gpamap_table_add(device->table, &entry);
}

int gpamap_device_remove_region(struct gpamap_device *device, uint64_t gpa, uint64_t size, uint64_t hva)
{
	if (is_stranger(device))
		return -EPERM;
	if (!device->table || is_no_range(gpa, size))
		return -ENOENT;
	return gpamap_table_remove(device->table, gpa, gpa + (size - 1), hva);
}

int gpamap_device_remove_range(struct gpamap_device *device, uint64_t first, uint64_t last)
{
	if (is_stranger(device))
		return -EPERM;
	if (last < first)
		return -EINVAL;
	return device->table ? gpamap_table_remove_range(device->table, first, last) : 0;
}

/* ---- Messages ---- */

/* A number of a message, which begins at this byte of it. */
static uint64_t u64_at(const uint8_t *message, size_t byte)
{
	uint64_t number;

	memcpy(&number, message + byte, sizeof(number));
	return number;
}

/* Take the misses out that were read and whose byte is in first .. last; say whom that wakes. */
static void answer(struct gpamap_device *device, uint64_t first, uint64_t last, struct gpamap_woken *woken)
{
	size_t i, stay = 0;
	uint32_t k;

	for (i = 0; i < device->count; i++) {
		const struct miss *miss = &device->misses[i];

		if (!miss->read || miss->is.iova < first || miss->is.iova > last) {
			device->misses[stay++] = *miss;
			continue;
		}
		for (k = 0; k < woken->count && woken->queues[k] != miss->is.queue; k++)
			;
		woken->queues[k] = miss->is.queue;
		if (k == woken->count)
			woken->count++;
	}
	device->count = stay;
}

static int update(struct gpamap_device *device, uint64_t iova, uint64_t size, uint64_t uaddr, uint32_t perm,
		  struct gpamap_woken *woken)
{
	struct gpamap_entry entry = {iova, iova + (size - 1), uaddr, perm};

	if (is_no_range(uaddr, size))
		return -EFAULT;
	if (perm && (size > device->config.user_limit || uaddr > device->config.user_limit - size))
		return -EFAULT;
	if (is_no_range(iova, size))
		return -EFAULT;
	(void)gpamap_table_add(device->iotlb, &entry);
	answer(device, entry.first, entry.last, woken);
	return GPAMAP_MESSAGE_BYTES;
}

int gpamap_device_write(struct gpamap_device *device, const void *message, size_t length, struct gpamap_woken *woken)
{
	struct gpamap_woken nobody;
	const uint8_t *bytes = message;
	uint64_t iova, size, last;
	uint32_t framing;

	if (!woken)
		woken = &nobody;
	woken->count = 0;
	if (length < 4)
		return -EINVAL;
	memcpy(&framing, bytes, sizeof(framing));
	if (framing != 1 && framing != 2)
		return -EINVAL;
	if (length < 40)
		return -EINVAL;
	iova = u64_at(bytes, 8);
	size = u64_at(bytes, 16);
	if (bytes[33] == GPAMAP_UPDATE && !size)
		return -EINVAL;
	if (bytes[33] != GPAMAP_UPDATE && bytes[33] != GPAMAP_INVALIDATE)
		return -EFAULT;
	if (!device->iotlb)
		return -EFAULT;
	if (bytes[33] == GPAMAP_UPDATE)
		return update(device, iova, size, u64_at(bytes, 24), bytes[32] & 3, woken);
	if (size) {
		last = iova + (size - 1);
		(void)gpamap_table_remove_range(device->iotlb, iova, last < iova ? UINT64_MAX : last);
		if (last < iova)
			(void)gpamap_table_remove_range(device->iotlb, 0, last);
	}
	return GPAMAP_MESSAGE_BYTES;
}

int gpamap_device_read(struct gpamap_device *device, void *message, size_t length)
{
	uint8_t *bytes = message;
	struct miss miss;
	size_t i, first = 0;

	if (length < GPAMAP_MESSAGE_BYTES)
		return 0;
	for (i = 0; i < device->count && device->misses[i].read; i++)
		first = i + 1;
	if (first == device->count)
		return -EAGAIN;
	device->misses[first].read = true;
	miss = device->misses[first];
	memset(bytes, 0, GPAMAP_MESSAGE_BYTES);
	memcpy(bytes, &miss.is.framing, sizeof(miss.is.framing));
	memcpy(bytes + 8, &miss.is.iova, sizeof(miss.is.iova));
	bytes[32] = (uint8_t)miss.is.access;
	bytes[33] = GPAMAP_MISS;
	return GPAMAP_MESSAGE_BYTES;
}

/* ---- Translation, and looking ---- */

int gpamap_device_translate(struct gpamap_device *device, uint32_t queue, uint64_t addr, uint64_t length, uint32_t access,
			    struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	struct gpamap_table *table = device->iotlb ? device->iotlb : device->table;
	struct gpamap_table *none = NULL;
	uint64_t stopped;
	int error;

	if (queue >= GPAMAP_QUEUES)
		return -EINVAL;
	if (!table)
		table = none = new_table(device);
	error = gpamap_table_translate(table, addr, length, access, segments, room, reach);
	gpamap_table_destroy(none);
	if (error != -EFAULT || !device->iotlb)
		return error;
	stopped = addr + reach->bytes;
	if (stopped < addr)
		return error;
	device->misses = array_for(device->misses, &device->room, device->count + 1, sizeof(*device->misses));
	device->misses[device->count++] = (struct miss){{queue, access, stopped, device->framing}, false};
	return -EAGAIN;
}

const struct gpamap_table *gpamap_device_table(const struct gpamap_device *device)
{
	return device->table;
}

const struct gpamap_table *gpamap_device_iotlb(const struct gpamap_device *device)
{
	return device->iotlb;
}

size_t gpamap_device_misses(const struct gpamap_device *device, int read, struct gpamap_miss *misses, size_t room)
{
	size_t i, count = 0;

	for (i = 0; i < device->count; i++)
		if (device->misses[i].read == !!read && count++ < room)
			misses[count - 1] = device->misses[i].is;
	return count;
}
