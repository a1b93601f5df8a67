#include "device.h"

#include "channel.h"
#include "tap.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MERGED_BUFFERS (1ull << 15) /* features that make the header longer */
#define VERSION_1 (1ull << 32)

bool device_there;
const char *device_missing = "not looked for";
int error_events[QUEUES] = { -1, -1 }, call_events[QUEUES] = { -1, -1 };
static int kick_events[QUEUES] = { -1, -1 };

static int event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		fatal("no eventfd: %s", strerror(errno));
	return fd;
}

void devices_prepare(void)
{
	if (getpid() != 1) {
		device_missing = "a kernel that is not ours to crash is asked nothing about vhost";
		return;
	}
	int fd = open("/dev/vhost-net", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		device_missing = "/dev/vhost-net cannot be opened";
		return;
	}
	close(fd);
	device_missing = tap_open();
	for (int queue = 0; queue < QUEUES; queue++) {
		kick_events[queue] = event();
		error_events[queue] = event();
		call_events[queue] = event();
	}
	device_there = device_missing == NULL;
}

const char *device_open(struct device *device)
{
	*device = (struct device){ .queue = { { .size = 1 }, { .size = 1 } } };
	device->fd = open("/dev/vhost-net", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return device->fd < 0 ? strerror(errno) : NULL;
}

void device_close(struct device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
	tap_drain();
}

void device_settle(struct device *device)
{
	/*
	 * A call that fails because there is no such descriptor, and that waits for the device's worker as each of its
	 * kind does. What the worker asks of itself meanwhile is done by the second.
	 */
	int nothing = -2;

	ask(device->fd, VHOST_SET_LOG_FD, &nothing);
	ask(device->fd, VHOST_SET_LOG_FD, &nothing);
}

static void drain(int event_fd)
{
	uint64_t count;

	while (read(event_fd, &count, sizeof(count)) > 0)
		;
}

void device_connect(struct device *device, uint32_t queue)
{
	if (queue >= QUEUES)
		return;
	struct vhost_vring_file kick = { queue, kick_events[queue] }, error = { queue, error_events[queue] };

	/* A queue that is given an event which has happened already would run. */
	drain(kick_events[queue]);
	ask(device->fd, VHOST_SET_VRING_KICK, &kick);
	ask(device->fd, VHOST_SET_VRING_ERR, &error);
}

void device_calls(struct device *device, bool wanted)
{
	struct vhost_vring_file call = { RECEIVE_QUEUE, wanted ? call_events[RECEIVE_QUEUE] : -1 };

	ask(device->fd, VHOST_SET_VRING_CALL, &call);
}

void device_kick(uint32_t queue)
{
	uint64_t one = 1;

	if (queue < QUEUES && write(kick_events[queue], &one, sizeof(one)) != sizeof(one))
		fatal("a kick is lost: %s", strerror(errno));
}

uint16_t device_taken(struct device *device, uint32_t queue)
{
	struct vhost_vring_state state = { .index = queue };

	return ask(device->fd, VHOST_GET_VRING_BASE, &state) == 0 ? (uint16_t)state.num : 0;
}

uint32_t header_bytes(const struct device *device)
{
	return device->features & (VERSION_1 | MERGED_BUFFERS) ? 12 : 10;
}
