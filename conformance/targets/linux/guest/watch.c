#include "watch.h"

#include "channel.h"
#include "device_memory.h"
#include "kernel_log.h"
#include "received.h"
#include "step.h"
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/*
 * Edge-triggered: each item is reported once for all that came since it was last asked, also where it was readable before;
 * and items come in the order in which they were first woken.
 */
enum item { PACKETS, ERROR_OF_RECEIVE, ERROR_OF_TRANSMIT, CALL_OF_RECEIVE, MISSES, ITEMS };
static int watcher = -1;
static bool both; /* queues may run in this step */

static void watch(int fd, enum item item)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u32 = item };

	if (epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event) != 0)
		fatal("nothing can be watched: %s", strerror(errno));
}

void watch_prepare(void)
{
	watcher = epoll_create1(EPOLL_CLOEXEC);
	watch(tap_listener, PACKETS);
	watch(error_events[RECEIVE_QUEUE], ERROR_OF_RECEIVE);
	watch(error_events[TRANSMIT_QUEUE], ERROR_OF_TRANSMIT);
	watch(call_events[RECEIVE_QUEUE], CALL_OF_RECEIVE);
}

void watch_device(const struct device *device)
{
	watch(device->fd, MISSES); /* until it is closed */
}

/* What was woken, in order. */
static int woken(enum item order[ITEMS])
{
	struct epoll_event events[ITEMS];
	int count = epoll_wait(watcher, events, ITEMS, 0);

	for (int i = 0; i < count; i++)
		order[i] = (enum item)events[i].data.u32;
	return count < 0 ? 0 : count;
}

static void drain(int event_fd)
{
	uint64_t count;

	while (read(event_fd, &count, sizeof(count)) > 0)
		;
}

static void drain_all(void)
{
	const uint8_t *frame;

	while (tap_take(&frame) > 0)
		;
	for (int queue = 0; queue < QUEUES; queue++) {
		drain(error_events[queue]);
		drain(call_events[queue]);
	}
}

/* Whether the transmit queue has something to send. */
static bool may_send(struct device *device)
{
	const struct queue *queue = &device->queue[TRANSMIT_QUEUE];

	return queue->attached && queue->available != device_taken(device, TRANSMIT_QUEUE);
}

void watch_begin(struct device *device, enum may_run queues)
{
	enum item order[ITEMS];

	if (woken(order) > 0)
		drain_all();
	kernel_log_skip();
	both = queues & RECEIVE_RUNS && queues & TRANSMIT_RUNS && may_send(device);
	if (queues & RECEIVE_RUNS)
		receive_begin(device, both);
	/* To tell looks at one more field of the ring: that is asked for only where the order is in question. */
	if (both)
		device_calls(device, true);
}

/* The values of a result, as they are put together. */
static uint64_t *values;
static uint32_t used, room;

void say(uint64_t value)
{
	if (used == room) {
		room = 2 * room + 64;
		values = realloc(values, room * sizeof(*values));
		if (values == NULL)
			fatal("no memory for results");
	}
	values[used++] = value;
}

/* FNV-1a, 64 bits, of a header that says nothing and a frame: conformance/payload.py. */
static uint64_t digest(uint32_t header, const uint8_t *frame, size_t length)
{
	const uint64_t prime = 0x100000001b3;
	uint64_t value = 0xcbf29ce484222325;

	while (header-- > 0)
		value *= prime;
	while (length-- > 0)
		value = (value ^ *frame++) * prime;
	return value;
}

/* Each packet that came out, with its header. The tap took that away, and refuses one that says something senseless. */
static uint32_t say_sent(const struct device *device)
{
	const uint8_t *frame;
	size_t length;
	uint32_t events = 0;

	while ((length = tap_take(&frame)) > 0) {
		say(SENT_BYTES);
		say(header_bytes(device) + length);
		say(digest(header_bytes(device), frame, length));
		events++;
	}
	return events;
}

static uint32_t say_error(int queue)
{
	drain(error_events[queue]);
	say(ERROR_SEEN);
	say(kernel_log_errno());
	return 1;
}

static bool is_among(const enum item *order, int count, enum item item)
{
	for (int i = 0; i < count; i++)
		if (order[i] == item)
			return true;
	return false;
}

/* All events. Of a queue, packets come before what stopped it; the queue that was woken first comes first. */
static uint32_t say_events(struct device *device)
{
	enum item order[ITEMS];
	int count = woken(order);
	uint32_t events = 0;
	bool sends_first = count > 0 && (order[0] == PACKETS || order[0] == ERROR_OF_TRANSMIT);

	kernel_log_read();
	for (int turn = 0; turn < QUEUES; turn++) {
		bool sends = (turn == 0) == sends_first;

		events += sends ? say_sent(device) : say_received(device);
		if (sends && is_among(order, count, ERROR_OF_TRANSMIT))
			events += say_error(TRANSMIT_QUEUE);
		if (!sends && is_among(order, count, ERROR_OF_RECEIVE))
			events += say_error(RECEIVE_QUEUE);
	}
	drain(call_events[RECEIVE_QUEUE]);
	if (is_among(order, count, MISSES)) {
		say(MISS_SEEN);
		events++;
	}
	return events;
}

static void say_marked(const struct device *device)
{
	const uint64_t *pairs;
	long count;

	if (!device->has_log || !is_log_memory(device->log_base))
		return;
	count = take_log(device->log_base, &pairs);
	if (count < 0)
		leave(ERRORED, "a bit before the dirty log was set");
	for (long i = 0; i < 2 * count; i++)
		say(pairs[i]);
}

struct seen watch_end(struct device *device)
{
	device_settle(device);
	if (both)
		device_calls(device, false);
	both = false;
	used = 0;
	say(0);
	values[0] = say_events(device);
	say_marked(device);
	return (struct seen){ used, values };
}
