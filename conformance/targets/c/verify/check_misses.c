/* SPDX-License-Identifier: Apache-2.0 */
/* Misses: lists of up to three, in the order in which they came; and the message that is read for each. */
#include <stdlib.h>

#include "verify.h"

#include "miss.c"
#include "memory.c"
#include "message.c"

#define MISSES 3

int gpamap_table_add(struct gpamap_table *table, const struct gpamap_entry *entry);
int gpamap_table_remove_range(struct gpamap_table *table, uint64_t first, uint64_t last);

static struct gpamap_miss seen[MISSES];
static size_t count_seen;

/* Any list. */
static void any_misses(const struct memory *memory, struct misses *misses)
{
	size_t i;

	*misses = (struct misses){NULL, NULL};
	count_seen = 0;
	for (i = 0; i < MISSES; i++) {
		struct miss *miss;

		seen[i] = (struct gpamap_miss){nondet_u32(), nondet_u32(), nondet_u64(), nondet_u32()};
		ASSUME(seen[i].queue < GPAMAP_QUEUES);
		if (nondet_bool() || !(miss = miss_new(memory, seen[i])))
			break;
		misses_add(misses, miss);
		count_seen++;
	}
}

/* Whether the list is that of the misses from .. to - 1 that are not in first .. last. */
static bool is_rest(const struct misses *misses, bool all, uint64_t first, uint64_t last)
{
	const struct miss *miss = misses->oldest, *newest = NULL;
	size_t i;

	for (i = 0; i < MISSES; i++) {
		if (i >= count_seen || (!all && first <= seen[i].iova && seen[i].iova <= last))
			continue;
		if (!miss || miss->seen.iova != seen[i].iova || miss->seen.queue != seen[i].queue)
			return false;
		newest = miss;
		miss = miss->next;
	}
	return !miss && (newest ? misses->newest == newest : !misses->oldest);
}

void answered(void)
{
	struct memory memory = memory_or_libc((struct memory){NULL, NULL, NULL});
	struct misses misses;
	struct gpamap_woken woken = {.count = 0};
	uint64_t first = nondet_u64(), last = nondet_u64();
	size_t i, one = any_below(MISSES), times = 0;
	bool is_answered;

	any_misses(&memory, &misses);
	CLAIM(is_rest(&misses, true, 0, 0), "misses stand in the order in which they came");
	misses_answer(&memory, &misses, first, last, &woken);
	CLAIM(is_rest(&misses, false, first, last), "those of other bytes stay, in their order");
	is_answered = one < count_seen && first <= seen[one].iova && seen[one].iova <= last;
	CLAIM(woken.count <= MISSES, "not more are woken than missed");
	for (i = 0; i < MISSES; i++)
		if (i < woken.count && woken.queues[i] == seen[one].queue)
			times++;
	CLAIM(times <= 1 && (!is_answered || times == 1), "the queue of each that is answered is woken, once");
	WITNESS(count_seen == MISSES && is_answered && misses.oldest && misses.oldest != misses.newest, "one of three");
	WITNESS(count_seen == MISSES && !misses.oldest && woken.count == 2, "all, of two queues");
	misses_drop(&memory, &misses);
	CLAIM(!misses.oldest && !misses.newest, "all are forgotten");
}

void read(void)
{
	struct memory memory = memory_or_libc((struct memory){NULL, NULL, NULL});
	struct gpamap_device device = {.memory = memory};
	unsigned char bytes[GPAMAP_MESSAGE_BYTES + 1];
	size_t length = any_below(GPAMAP_MESSAGE_BYTES + 2);
	struct message message;
	int result;

	any_misses(&memory, &device.unread);
	bytes[GPAMAP_MESSAGE_BYTES] = 7;
	result = gpamap_device_read(&device, bytes, length);
	CLAIM(result == (length < GPAMAP_MESSAGE_BYTES ? 0 : count_seen ? GPAMAP_MESSAGE_BYTES : -EAGAIN), "a message, or none");
	CLAIM(bytes[GPAMAP_MESSAGE_BYTES] == 7, "and not a byte more");
	memcpy(&message, bytes, sizeof(message));
	if (result > 0) {
		CLAIM(message.kind == GPAMAP_MISS && message.iova == seen[0].iova && message.framing == seen[0].framing &&
			      message.perm == (uint8_t)seen[0].access && !message.size && !message.uaddr,
		      "of the oldest miss");
		CLAIM(device.pending.oldest == device.pending.newest && device.pending.oldest->seen.iova == seen[0].iova,
		      "which is read by now");
		CLAIM(count_seen > 1 || !device.unread.newest, "and no longer unread");
	}
	WITNESS(result > 0 && count_seen == MISSES && length > GPAMAP_MESSAGE_BYTES, "there is one");
	WITNESS(result == -EAGAIN, "there is none");
	WITNESS(result == 0, "it has no room");
}
