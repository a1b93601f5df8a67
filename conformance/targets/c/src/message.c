/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: updates and invalidations are written to a device, misses are read from it. */
#include <string.h>

#include "table.h"

#define FRAMING_BYTES 4
#define NEEDED_BYTES 40

struct message {
	uint32_t framing;
	uint32_t unused;
	uint64_t iova;
	uint64_t size;
	uint64_t uaddr;
	uint8_t perm;
	uint8_t kind;
	uint8_t padding[6];
};

_Static_assert(sizeof(struct message) == NEEDED_BYTES, "a message has no holes");

/* Whether a host range ends at or before `limit`, the first byte behind it. */
static bool ends_before(uint64_t host, uint64_t size, uint64_t limit)
{
	return size <= limit && host <= limit - size;
}

/* Bytes host .. host + size - 1 for a device that may do what perm says there. */
static bool is_bad_memory(const struct gpamap_device *device, const struct message *message)
{
	if (!is_range(message->uaddr, message->size))
		return true;
	if (!(message->perm & (GPAMAP_READ | GPAMAP_WRITE)))
		return false;
	return !ends_before(message->uaddr, message->size, device->config.user_limit);
}

static int check_message(const struct gpamap_device *device, const struct message *message, size_t length)
{
	if (length < FRAMING_BYTES)
		return -EINVAL;
	if (message->framing != 1 && message->framing != 2)
		return -EINVAL;
	if (length < NEEDED_BYTES)
		return -EINVAL;
	if (message->kind == GPAMAP_UPDATE && !message->size)
		return -EINVAL;
	if (message->kind != GPAMAP_UPDATE && message->kind != GPAMAP_INVALIDATE)
		return -EFAULT;
	if (!device->has_iotlb)
		return -EFAULT;
	if (message->kind == GPAMAP_INVALIDATE)
		return 0;
	if (is_bad_memory(device, message))
		return -EFAULT;
	if (!is_range(message->iova, message->size))
		return -EFAULT;
	return 0;
}

static int update(struct gpamap_device *device, const struct message *message, struct gpamap_woken *woken)
{
	struct gpamap_entry entry = {
		.first = message->iova,
		.last = message->iova + (message->size - 1),
		.host = message->uaddr,
		.perm = message->perm & (GPAMAP_READ | GPAMAP_WRITE),
	};
	int error = gpamap_table_add(&device->iotlb, &entry);

	if (!error)
		misses_answer(&device->memory, &device->pending, entry.first, entry.last, woken);
	return error;
}

static void invalidate(struct gpamap_device *device, const struct message *message)
{
	uint64_t last = message->iova + (message->size - 1);

	if (!message->size)
		return;
	if (last >= message->iova) {
		(void)gpamap_table_remove_range(&device->iotlb, message->iova, last);
		return;
	}
	(void)gpamap_table_remove_range(&device->iotlb, message->iova, UINT64_MAX);
	(void)gpamap_table_remove_range(&device->iotlb, 0, last);
}

int gpamap_device_write(struct gpamap_device *device, const void *message, size_t length, struct gpamap_woken *woken)
{
	struct message taken = {0};
	struct gpamap_woken ignored;
	int error;

	if (!woken)
		woken = &ignored;
	woken->count = 0;
	if (length)
		memcpy(&taken, message, length < sizeof(taken) ? length : sizeof(taken));
	error = check_message(device, &taken, length);
	if (error)
		return error;
	if (taken.kind == GPAMAP_INVALIDATE)
		invalidate(device, &taken);
	else
		error = update(device, &taken, woken);
	return error ? error : GPAMAP_MESSAGE_BYTES;
}

int gpamap_device_read(struct gpamap_device *device, void *message, size_t length)
{
	struct message given = {.kind = GPAMAP_MISS};
	struct miss *miss;

	if (length < GPAMAP_MESSAGE_BYTES)
		return 0;
	miss = misses_take_oldest(&device->unread);
	if (!miss)
		return -EAGAIN;
	given.framing = miss->seen.framing;
	given.iova = miss->seen.iova;
	given.perm = (uint8_t)miss->seen.access;
	memset(message, 0, GPAMAP_MESSAGE_BYTES);
	memcpy(message, &given, sizeof(given));
	misses_add(&device->pending, miss);
	return GPAMAP_MESSAGE_BYTES;
}
