/* SPDX-License-Identifier: Apache-2.0 */
/* The player's requests for a vhost device. */
#include <string.h>

#include "player.h"

static struct gpamap_device *device;

static void new_device(struct line *line)
{
	struct gpamap_device_config config = {.caller = who_calls};

	gpamap_device_destroy(device);
	config.max_regions = take_u32(line);
	config.iotlb_limit = take_u32(line);
	config.user_limit = take(line);
	config.features = take(line);
	config.retirement = take_u32(line);
	config.iotlb_follows = take_u32(line);
	CHECK(gpamap_device_create(&config, &device) == 0);
}

static void end_device(struct line *line)
{
	(void)line;
	gpamap_device_destroy(device);
	device = NULL;
}

static void set_owner(struct line *line)
{
	(void)line;
	say_error(gpamap_device_set_owner(device));
}

static void reset_owner(struct line *line)
{
	(void)line;
	say_error(gpamap_device_reset_owner(device));
}

static void agree(struct line *line, int (*function)(struct gpamap_device *, const uint64_t *))
{
	int readable = take_bool(line);
	uint64_t features = take(line);

	say_error(function(device, readable ? &features : NULL));
}

static void set_features(struct line *line)
{
	agree(line, gpamap_device_set_features);
}

static void set_backend_features(struct line *line)
{
	agree(line, gpamap_device_set_backend_features);
}

static void set_mem_table(struct line *line)
{
	int readable = take_bool(line);
	struct gpamap_memory_table table = {.padding = take_u32(line)};
	int regions_readable = take_bool(line);
	struct gpamap_memory_region *regions = room_for(left(line), sizeof(*regions));

	while (left(line)) {
		struct gpamap_memory_region *region = &regions[table.nregions++];

		region->gpa = take(line);
		region->size = take(line);
		region->hva = take(line);
	}
	table.regions = regions_readable ? regions : NULL;
	say_error(gpamap_device_set_mem_table(device, readable ? &table : NULL));
	free(regions);
}

static void add_region(struct line *line)
{
	uint64_t gpa = take(line);
	uint64_t size = take(line);

	say_error(gpamap_device_add_region(device, gpa, size, take(line)));
}

static void remove_region(struct line *line)
{
	uint64_t gpa = take(line);
	uint64_t size = take(line);

	say_error(gpamap_device_remove_region(device, gpa, size, take(line)));
}

static void remove_range(struct line *line)
{
	uint64_t first = take(line);

	say_error(gpamap_device_remove_range(device, first, take(line)));
}

/* What comes with the first `length` bytes of a message, and no byte more. Answers with the queues that are woken. */
static void write_message(struct line *line)
{
	size_t length = take_size(line);
	unsigned char bytes[GPAMAP_MESSAGE_BYTES] = {0};
	unsigned char *message = room_for(length, 1);
	struct gpamap_woken woken = {0};
	uint32_t framing = take_u32(line), asid = take_u32(line), i;
	uint64_t iova = take(line), size = take(line), uaddr = take(line);
	int answer;

	memcpy(bytes, &framing, 4);
	memcpy(bytes + 4, &asid, 4);
	memcpy(bytes + 8, &iova, 8);
	memcpy(bytes + 16, &size, 8);
	memcpy(bytes + 24, &uaddr, 8);
	bytes[32] = (unsigned char)take_u32(line);
	bytes[33] = (unsigned char)take_u32(line);
	memcpy(message, bytes, length < sizeof(bytes) ? length : sizeof(bytes));
	answer = gpamap_device_write(device, message, length, &woken);
	say_error(answer);
	for (i = 0; answer >= 0 && i < woken.count; i++)
		say(woken.queues[i]);
	free(message);
}

/* Answers with all bytes of the message. */
static void read_message(struct line *line)
{
	size_t length = take_size(line);
	unsigned char *message = room_for(length, 1);
	int i, answer = gpamap_device_read(device, message, length);

	say_error(answer);
	for (i = 0; i < answer; i++)
		say(message[i]);
	free(message);
}

static void translate(struct line *line)
{
	uint32_t queue = take_u32(line);
	uint64_t addr = take(line), length = take(line);
	uint32_t access = take_u32(line);
	size_t i, room = take_size(line);
	struct gpamap_segment *segments = room_for(room, sizeof(*segments));
	struct gpamap_reach reach = {0};
	int error = gpamap_device_translate(device, queue, addr, length, access, segments, room, &reach);

	say_error(error);
	say(reach.bytes);
	for (i = 0; i < reach.segments; i++) {
		say(segments[i].first);
		say(segments[i].last);
		say(segments[i].host);
	}
	free(segments);
}

static void say_entries(const struct gpamap_table *table)
{
	size_t i, count = table ? gpamap_table_entries(table, NULL, 0) : 0;
	struct gpamap_entry *entries = room_for(count, sizeof(*entries));

	say(table != NULL);
	say(count);
	if (table)
		CHECK(gpamap_table_entries(table, entries, count) == count);
	for (i = 0; i < count; i++) {
		say(entries[i].first);
		say(entries[i].last);
		say(entries[i].host);
		say(entries[i].perm);
	}
	free(entries);
}

static void observe_maps(struct line *line)
{
	(void)line;
	say_entries(gpamap_device_table(device));
	say_entries(gpamap_device_iotlb(device));
}

const struct request device_requests[] = {
	{"device", new_device},
	{"end_device", end_device},
	{"set_owner", set_owner},
	{"reset_owner", reset_owner},
	{"set_features", set_features},
	{"set_backend_features", set_backend_features},
	{"set_mem_table", set_mem_table},
	{"add_region", add_region},
	{"remove_region", remove_region},
	{"remove_range", remove_range},
	{"write_message", write_message},
	{"read_message", read_message},
	{"translate", translate},
	{"observe_maps", observe_maps},
	{NULL, NULL},
};
