#include "device_steps.h"

#include "driver.h"
#include "received.h"
#include "step.h"
#include "tap.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define LONGEST_MESSAGE 4096

enum { TAP, NO_BACKEND, NO_SOCKET }; /* backends in a step */

/* What may run when something happens to a queue: a run of the receive queue is nothing without a packet. */
static enum may_run runs(uint32_t queue)
{
	if (queue == RECEIVE_QUEUE)
		return packets_came() ? RECEIVE_RUNS : NONE_RUNS;
	return queue == TRANSMIT_QUEUE ? TRANSMIT_RUNS : NONE_RUNS;
}

static void ran(struct device *device)
{
	struct seen seen = watch_end(device);

	answer(RAN, 0, seen.count, seen.values);
}

static void set_features(struct device *device, const struct flat_step *step)
{
	uint64_t features = step->v[0];
	int error = call(step, device->fd, VHOST_SET_FEATURES, &features);

	if (error == 0) {
		device->features = features;
		tap_header((int)header_bytes(device));
	}
	answer_errno(error);
}

static void set_backend_features(struct device *device, const struct flat_step *step)
{
	uint64_t features = step->v[0];

	answer_errno(call(step, device->fd, VHOST_SET_BACKEND_FEATURES, &features));
}

static void reset_owner(struct device *device, const struct flat_step *step)
{
	int error = call(step, device->fd, VHOST_RESET_OWNER, NULL);

	if (error == 0) {
		rings_restart(device);
		device->features = 0;
		device->has_log = false;
	}
	answer_errno(error);
}

/* Memory of `length` bytes behind which nothing is mapped. */
static uint8_t *before_nothing(size_t length)
{
	static uint8_t *pages;
	static size_t room;

	if (length > room) {
		if (pages != NULL)
			munmap(pages, room + PAGE);
		room = (length + PAGE - 1) / PAGE * PAGE;
		pages = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (pages == MAP_FAILED || mprotect(pages + room, PAGE, PROT_NONE) != 0)
			leave(ERRORED, "no memory for a table");
	}
	return pages + room - length;
}

static void set_mem_table(struct device *device, const struct flat_step *step)
{
	const uint64_t(*pairs)[4] = (const void *)(step + 1);
	uint32_t count = step->ranges / 2;
	size_t length = sizeof(struct vhost_memory);

	if (step->bits & BUFFER_OK)
		length += count * sizeof(struct vhost_memory_region);
	struct vhost_memory *table = (struct vhost_memory *)(void *)before_nothing(length);
	table->nregions = count;
	table->padding = (uint32_t)step->v[0];
	for (uint32_t i = 0; step->bits & BUFFER_OK && i < count; i++)
		table->regions[i] = (struct vhost_memory_region){ .guest_phys_addr = pairs[i][0],
								  .memory_size = pairs[i][1],
								  .userspace_addr = pairs[i][2] };
	answer_errno(call(step, device->fd, VHOST_SET_MEM_TABLE, table));
}

static void set_log_base(struct device *device, const struct flat_step *step)
{
	uint64_t base = step->v[0];
	int error = call(step, device->fd, VHOST_SET_LOG_BASE, &base);

	if (error == 0) {
		device->has_log = true;
		device->log_base = base;
	}
	answer_errno(error);
}

static void set_ring_size(struct device *device, const struct flat_step *step)
{
	struct vhost_vring_state state = { step->slot, (uint32_t)step->v[0] };
	int error = call(step, device->fd, VHOST_SET_VRING_NUM, &state);

	if (error == 0 && step->slot < QUEUES)
		ring_resized(device, step->slot, state.num);
	answer_errno(error);
}

static void set_ring_addresses(struct device *device, const struct flat_step *step)
{
	struct vhost_vring_addr addresses = {
		.index = step->slot,
		.flags = (uint32_t)step->v[0],
		.desc_user_addr = step->v[1],
		.used_user_addr = step->v[2],
		.avail_user_addr = step->v[3],
		.log_guest_addr = step->v[4],
	};

	answer_errno(call(step, device->fd, VHOST_SET_VRING_ADDR, &addresses));
}

/* A file that is neither a tap nor a packet socket. */
static int no_socket(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return fd;
}

static void set_backend(struct device *device, const struct flat_step *step)
{
	uint64_t kind = step->v[0];
	struct vhost_vring_file backend = { step->slot, kind == TAP ? tap_fd : kind == NO_BACKEND ? -1 : no_socket() };

	if (kind == TAP && device->features & HEADERLESS)
		leave(SKIPPED, "this harness has a tap with packet headers, which the device was told to make itself");
	if (kind == TAP)
		device_connect(device, step->slot);
	watch_begin(device, runs(step->slot));
	int error = call(step, device->fd, VHOST_NET_SET_BACKEND, &backend);
	if (error == 0) {
		if (step->slot < QUEUES)
			device->queue[step->slot].attached = kind == TAP;
		ran(device);
	} else {
		/* Kernels look the used ring up before they refuse. */
		watch_refused(device, true);
		answer_errno(error);
	}
}

static void write_message(struct device *device, const struct flat_step *step)
{
	static union {
		struct vhost_msg_v2 message;
		uint8_t bytes[LONGEST_MESSAGE];
	} buffer;
	uint32_t length = (uint32_t)step->v[3];

	if (length > sizeof(buffer))
		leave(SKIPPED, "a message of %u bytes: this harness has room for %zu", length, sizeof(buffer));
	memset(&buffer, 0, sizeof(buffer));
	buffer.message.type = (uint32_t)step->v[4];
	buffer.message.asid = (uint32_t)(step->v[3] >> 32);
	buffer.message.iotlb.iova = step->v[0];
	buffer.message.iotlb.size = step->v[1];
	buffer.message.iotlb.uaddr = step->v[2];
	buffer.message.iotlb.type = (uint8_t)(step->v[4] >> 32);
	buffer.message.iotlb.perm = (uint8_t)(step->v[4] >> 40);
	watch_begin(device, runs(RECEIVE_QUEUE) | TRANSMIT_RUNS);
	ssize_t taken = write(device->fd, &buffer, length);
	int error = taken < 0 ? errno : 0;

	if (error != 0) {
		watch_refused(device, false);
		answer_errno(error);
		return;
	}
	struct seen seen = watch_end(device);
	uint64_t *values = malloc((seen.count + 1) * sizeof(*values));
	if (values == NULL)
		leave(ERRORED, "no memory");
	values[0] = (uint64_t)taken;
	memcpy(values + 1, seen.values, seen.count * sizeof(*values));
	answer(MESSAGE_TAKEN, 0, seen.count + 1, values);
	free(values);
}

/* A miss says what is needed and for what; there is nothing else to say. */
static bool is_miss(const struct vhost_msg_v2 *message, ssize_t length)
{
	return length == sizeof(*message) && message->iotlb.type == VHOST_IOTLB_MISS && message->iotlb.size == 0 &&
	       message->iotlb.uaddr == 0 && message->asid == 0;
}

static void read_message(struct device *device, const struct flat_step *step)
{
	static union {
		struct vhost_msg_v2 message;
		uint8_t bytes[LONGEST_MESSAGE];
	} buffer;

	if (step->v[0] > sizeof(buffer))
		leave(SKIPPED, "this harness has room for messages of %zu bytes", sizeof(buffer));
	memset(&buffer, 0, sizeof(buffer));
	ssize_t length = read(device->fd, &buffer, step->v[0]);
	if (length < 0) {
		answer_errno(errno);
	} else if (length == 0) {
		answer(NOTHING_READ, 0, 0, NULL);
	} else if (is_miss(&buffer.message, length)) {
		uint64_t values[] = { buffer.message.type, buffer.message.iotlb.iova, buffer.message.iotlb.perm };

		answer(MISS_READ, 0, 3, values);
	} else {
		leave(ERRORED, "what was read is no miss: %zd bytes, kind %u, size 0x%llx, uaddr 0x%llx, asid %u", length,
		      buffer.message.iotlb.type, (unsigned long long)buffer.message.iotlb.size,
		      (unsigned long long)buffer.message.iotlb.uaddr, buffer.message.asid);
	}
}

static void transmit(struct device *device, const struct flat_step *step)
{
	watch_begin(device, TRANSMIT_RUNS);
	offer_chain(device, TRANSMIT_QUEUE, step);
	device_kick(TRANSMIT_QUEUE);
	ran(device);
}

static void offer(struct device *device, const struct flat_step *step)
{
	watch_begin(device, NONE_RUNS);
	offer_chain(device, RECEIVE_QUEUE, step);
	ran(device);
}

static void packet(struct device *device, const struct flat_step *step)
{
	watch_begin(device, RECEIVE_RUNS);
	packet_comes(step->v[0]);
	ran(device);
}

static void kick(struct device *device, const struct flat_step *step)
{
	if (step->slot >= QUEUES) {
		/* There is nothing to kick: the kernel says so when it is given something. */
		struct vhost_vring_file none = { step->slot, -1 };

		int error = ask(device->fd, VHOST_SET_VRING_KICK, &none);

		if (error == EPERM)
			leave(SKIPPED, "a kernel does not say which queues there are to one who is not the owner");
		answer_errno(error);
		return;
	}
	watch_begin(device, runs(step->slot));
	device_kick(step->slot);
	ran(device);
}

static void do_step(struct device *device, const struct flat_step *step)
{
	switch (step->operation) {
	case SET_OWNER:
		answer_errno(ask(device->fd, VHOST_SET_OWNER, NULL));
		return;
	case RESET_OWNER:
		reset_owner(device, step);
		return;
	case SET_FEATURES:
		set_features(device, step);
		return;
	case SET_BACKEND_FEATURES:
		set_backend_features(device, step);
		return;
	case SET_MEM_TABLE:
		set_mem_table(device, step);
		return;
	case SET_LOG_BASE:
		set_log_base(device, step);
		return;
	case SET_RING_SIZE:
		set_ring_size(device, step);
		return;
	case SET_RING_ADDRESSES:
		set_ring_addresses(device, step);
		return;
	case SET_BACKEND:
		set_backend(device, step);
		return;
	case WRITE_MESSAGE:
		write_message(device, step);
		return;
	case READ_MESSAGE:
		read_message(device, step);
		return;
	case TRANSMIT:
		transmit(device, step);
		return;
	case OFFER:
		offer(device, step);
		return;
	case PACKET:
		packet(device, step);
		return;
	case KICK:
		kick(device, step);
		return;
	default:
		answer(UNOBSERVABLE, 0, 0, NULL);
	}
}

void device_step(struct device *device, const struct flat_step *step)
{
	do_step(device, step);
	/* What was to be seen of it has been seen. */
	watch_nothing(device, step->operation == READ_MESSAGE);
}
