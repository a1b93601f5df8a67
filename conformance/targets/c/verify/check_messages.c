/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to a device: every check and every range, against sums that cannot wrap. All 64-bit values of all numbers. */
#include <stdlib.h>

#include "verify.h"

#include "message.c"

#define LONGEST 72

/* What the device's table is asked, in place of a table. */
static struct gpamap_entry added;
static size_t additions;
static struct {
	uint64_t first;
	uint64_t last;
} removed[2];
static size_t removals;
static size_t answers;

int gpamap_table_add(struct gpamap_table *table, const struct gpamap_entry *entry)
{
	(void)table;
	added = *entry;
	additions++;
	return nondet_bool() ? 0 : -ENOMEM;
}

int gpamap_table_remove_range(struct gpamap_table *table, uint64_t first, uint64_t last)
{
	(void)table;
	CLAIM(first <= last, "the table is given ranges");
	CLAIM(removals < 2, "at most two of them");
	removed[removals].first = first;
	removed[removals].last = last;
	removals++;
	return 0;
}

void misses_answer(const struct memory *memory, struct misses *misses, uint64_t first, uint64_t last,
		   struct gpamap_woken *woken)
{
	(void)memory;
	(void)misses;
	(void)woken;
	CLAIM(first == added.first && last == added.last, "the misses of these bytes are answered");
	answers++;
}

/* Whether a range of bytes ends at or before an address; no range ends past 2^64. */
static bool fits(uint64_t first, uint64_t size, wide end)
{
	return (wide)first + size <= end;
}

/* The definition, in the order of the checks. */
static int defined(const struct gpamap_device *device, const struct message *message, size_t length)
{
	if (length < 4 || (message->framing != 1 && message->framing != 2) || length < 40)
		return -EINVAL;
	if (message->kind == GPAMAP_UPDATE && message->size == 0)
		return -EINVAL;
	if (message->kind != GPAMAP_UPDATE && message->kind != GPAMAP_INVALIDATE)
		return -EFAULT;
	if (!device->has_iotlb)
		return -EFAULT;
	if (message->kind == GPAMAP_INVALIDATE)
		return 0;
	if (!fits(message->uaddr, message->size, TWO_TO_64) || !fits(message->iova, message->size, TWO_TO_64))
		return -EFAULT;
	if (message->perm & 3 && !fits(message->uaddr, message->size, device->config.user_limit))
		return -EFAULT;
	return 0;
}

void checks(void)
{
	struct gpamap_device device = {.has_iotlb = nondet_bool(), .config.user_limit = nondet_u64()};
	struct message message = {.framing = nondet_u32(),
				  .iova = nondet_u64(),
				  .size = nondet_u64(),
				  .uaddr = nondet_u64(),
				  .perm = nondet_u8(),
				  .kind = nondet_u8()};
	size_t length = nondet_size();
	int result = check_message(&device, &message, length);

	CLAIM(result == defined(&device, &message, length), "the result is the definition's");
	WITNESS(result == 0 && message.kind == GPAMAP_UPDATE && (wide)message.iova + message.size == TWO_TO_64,
		"an update up to the last address");
	WITNESS(result == 0 && message.kind == GPAMAP_INVALIDATE && (wide)message.iova + message.size > TWO_TO_64,
		"an invalidation that wraps");
	WITNESS(result == -EFAULT, "EFAULT");
	WITNESS(result == -EINVAL && length >= 40, "EINVAL");
}

void written(void)
{
	struct gpamap_device device = {.has_iotlb = nondet_bool(), .config.user_limit = nondet_u64()};
	struct gpamap_woken woken;
	struct message message = {0};
	size_t length = any_below(LONGEST + 1);
	void *bytes = malloc(length); /* exactly as long as is said */
	uint64_t byte = nondet_u64();
	int result;

	ASSUME(bytes);
	if (length >= sizeof(message))
		memcpy(&message, bytes, sizeof(message));
	result = gpamap_device_write(&device, bytes, length, nondet_bool() ? &woken : NULL);
	if (length < sizeof(message)) {
		CLAIM(result < 0 && additions + removals + answers == 0, "a message that is too short does nothing");
	} else if (result == GPAMAP_MESSAGE_BYTES && message.kind == GPAMAP_UPDATE) {
		CLAIM(additions == 1 && removals == 0 && answers == 1, "an update adds one entry and answers misses");
		CLAIM(added.first == message.iova && (wide)added.last == (wide)message.iova + message.size - 1,
		      "the entry has the bytes of the message");
		CLAIM(added.host == message.uaddr && added.perm == (message.perm & 3), "and its host bytes and perm");
	} else if (result == GPAMAP_MESSAGE_BYTES) {
		bool is_removed = (removals > 0 && removed[0].first <= byte && byte <= removed[0].last) ||
				  (removals > 1 && removed[1].first <= byte && byte <= removed[1].last);

		CLAIM(message.kind == GPAMAP_INVALIDATE && additions + answers == 0, "an invalidation only removes");
		CLAIM(is_removed == ((uint64_t)(byte - message.iova) < message.size),
		      "a byte is removed if it is one of `size` bytes from `iova` on, modulo 2^64");
	} else {
		CLAIM(result < 0 && removals + answers == 0, "an error removes nothing");
		CLAIM(additions == 0 || result == -ENOMEM, "and adds nothing, unless the table refused it");
	}
	WITNESS(removals == 2, "an invalidation in two ranges");
	WITNESS(removals == 1 && removed[0].first == 0 && removed[0].last == UINT64_MAX - 1, "nearly all of it");
	WITNESS(additions == 1 && added.last == UINT64_MAX, "an entry up to the last address");
	WITNESS(length == 0, "a message of no bytes");
}
