#include "probe_device.h"

#include "backings.h"
#include "channel.h"
#include "device.h"
#include "device_memory.h"
#include "driver.h"
#include "kernel_log.h"
#include "tap.h"
#include "vm.h"

#include <errno.h>
#include <linux/vhost.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION_1 (1ull << 32)
#define ACCESS_PLATFORM (1ull << 33)
#define PAGE 4096ull
#define MOST_REGIONS 65535
#define MOST_ENTRIES 8192

static void opened(struct device *device)
{
	const char *failed = device_open(device);

	if (failed != NULL)
		fatal("no vhost device: %s", failed);
	if (ask(device->fd, VHOST_SET_OWNER, NULL) != 0)
		fatal("a new vhost device cannot be owned: %s", strerror(errno));
}

static void must(int error, const char *what)
{
	if (error != 0)
		fatal("a vhost device refuses %s: %s", what, strerror(error));
}

static int set_features(struct device *device, uint64_t features)
{
	return ask(device->fd, VHOST_SET_FEATURES, &features);
}

static bool update(struct device *device, uint64_t iova, uint64_t size, uint64_t host)
{
	struct vhost_msg message = {
		.type = VHOST_IOTLB_MSG,
		.iotlb = { .iova = iova, .size = size, .uaddr = host, .perm = VHOST_ACCESS_RW, .type = VHOST_IOTLB_UPDATE },
	};

	return write(device->fd, &message, sizeof(message)) == sizeof(message);
}

/* A table of so many regions, one page of guest memory each, all at one host page. */
static int set_table(struct device *device, uint32_t regions)
{
	struct vhost_memory *table = calloc(1, sizeof(*table) + regions * sizeof(table->regions[0]));

	if (table == NULL)
		fatal("no memory for a table");
	table->nregions = regions;
	for (uint32_t i = 0; i < regions; i++)
		table->regions[i] = (struct vhost_memory_region){ i * PAGE, PAGE, (uintptr_t)backing_bytes(0), 0 };
	int error = ask(device->fd, VHOST_SET_MEM_TABLE, table);
	free(table);
	return error;
}

static uint32_t most_regions(struct device *device)
{
	uint32_t low = 0, high = MOST_REGIONS + 1; /* low is taken, high is not */

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (set_table(device, middle) == 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Whether the first of so many entries of an IOTLB is still there: a queue's ring, without which it gets no backend. */
static bool first_survives(uint32_t entries)
{
	struct device device;
	uint64_t ring = (uintptr_t)backing_bytes(RING_BACKING);
	struct vhost_vring_addr addresses = { .index = TRANSMIT_QUEUE, .desc_user_addr = ring, .avail_user_addr = ring + 16,
					      .used_user_addr = ring + 32 };
	struct vhost_vring_file backend = { TRANSMIT_QUEUE, tap_fd };

	opened(&device);
	must(set_features(&device, VERSION_1 | ACCESS_PLATFORM), "to have an IOTLB");
	must(set_table(&device, 0), "an empty table");
	must(ask(device.fd, VHOST_SET_VRING_ADDR, &addresses), "the place of a ring");
	for (uint32_t entry = 0; entry < entries; entry++)
		if (!update(&device, entry == 0 ? ring : (1ull << 50) + entry * PAGE, PAGE, ring))
			fatal("a vhost device refuses an update of its IOTLB");
	bool survives = ask(device.fd, VHOST_NET_SET_BACKEND, &backend) == 0;
	device_close(&device);
	return survives;
}

static uint32_t announced(const char *name)
{
	char path[128];
	unsigned value = 0;

	snprintf(path, sizeof(path), "/sys/module/vhost/parameters/%s", name);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%u", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

static uint32_t most_entries(uint32_t expected)
{
	uint32_t low = 0, high = MOST_ENTRIES + 1;

	/* One guess spares most of the search. */
	if (expected > 0 && expected < MOST_ENTRIES && first_survives(expected) && !first_survives(expected + 1))
		return expected;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (first_survives(middle))
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Whether a device that agrees on a feature word without an IOTLB, after one with, still takes updates. */
static bool iotlb_stays(void)
{
	struct device device;

	opened(&device);
	must(set_features(&device, VERSION_1 | ACCESS_PLATFORM), "to have an IOTLB");
	if (!update(&device, PAGE, PAGE, (uintptr_t)backing_bytes(0)))
		fatal("a vhost device with an IOTLB takes no update");
	must(set_features(&device, VERSION_1), "to have no IOTLB");
	bool stays = update(&device, PAGE, PAGE, (uintptr_t)backing_bytes(0));
	device_close(&device);
	return stays;
}

/* Whether the kernel's log says why a translation fails: here of a packet in a table with nothing in it. */
static bool log_has_errnos(void)
{
	struct device device;
	struct vhost_vring_state size = { TRANSMIT_QUEUE, 1 };
	struct vhost_vring_addr addresses = ring_places(TRANSMIT_QUEUE);
	struct vhost_vring_file backend = { TRANSMIT_QUEUE, tap_fd };
	struct {
		struct flat_step step;
		uint64_t pairs[4]; /* one descriptor */
	} chain = { .step = { .ranges = 2 }, .pairs = { PAGE, PAGE } };

	memory_for_device();
	opened(&device);
	must(set_features(&device, VERSION_1), "its features");
	must(set_table(&device, 0), "an empty table");
	must(ask(device.fd, VHOST_SET_VRING_NUM, &size), "the size of a ring");
	must(ask(device.fd, VHOST_SET_VRING_ADDR, &addresses), "the place of a ring");
	device_connect(&device, TRANSMIT_QUEUE);
	must(ask(device.fd, VHOST_NET_SET_BACKEND, &backend), "a tap");
	kernel_log_skip();
	offer_chain(&device, TRANSMIT_QUEUE, &chain.step);
	device_kick(TRANSMIT_QUEUE);
	device_settle(&device);
	kernel_log_read();
	device_close(&device);
	return kernel_log_errno(0, kernel_log_errors()) == EFAULT;
}

void probe_device(void (*say)(const char *format, ...))
{
	struct device device;
	uint64_t features = 0, message_features = 0;

	say("vhost=%d\n", device_there);
	if (!device_there) {
		say("fact.vhost=%s\n", device_missing);
		return;
	}
	memory_for_device();
	opened(&device);
	must(ask(device.fd, VHOST_GET_FEATURES, &features), "to say its features");
	must(ask(device.fd, VHOST_GET_BACKEND_FEATURES, &message_features), "to say its message features");
	say("features=%llu\n", (unsigned long long)features);
	say("max_regions=%u\n", most_regions(&device));
	device_close(&device);
	say("iotlb_limit=%u\n", most_entries(announced("max_iotlb_entries")));
	say("iotlb_mode=%s\n", iotlb_stays() ? "stays" : "follows");
	say("error_numbers=%d\n", log_has_errnos());
	say("fact.vhost_message_features=%llu\n", (unsigned long long)message_features);
	say("fact.vhost_max_mem_regions=%u\n", announced("max_mem_regions"));
	say("fact.vhost_max_iotlb_entries=%u\n", announced("max_iotlb_entries"));
}
