#include "watch.h"

#include "channel.h"
#include "device_memory.h"
#include "driver.h"
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


/* What was woken, in order. */
static int woken(enum item order[ITEMS])
{
	struct epoll_event events[ITEMS];
	int count = epoll_wait(watcher, events, ITEMS, 0);

	for (int i = 0; i < count; i++)
		order[i] = (enum item)events[i].data.u32;
	return count < 0 ? 0 : count;
}

/* How often an event happened since this was last asked. */
static uint64_t drain(int event_fd)
{
	uint64_t count, all = 0;

	while (read(event_fd, &count, sizeof(count)) > 0)
		all += count;
	return all;
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

void watch_device(const struct device *device)
{
	enum item order[ITEMS];

	watch(device->fd, MISSES); /* until it is closed */
	drain_all();
	(void)woken(order);
}

/* Whether the transmit queue has something to send. */
static bool may_send(struct device *device)
{
	const struct queue *queue = &device->queue[TRANSMIT_QUEUE];

	return queue->attached && queue->available != device_taken(device, TRANSMIT_QUEUE);
}

void watch_begin(struct device *device, enum may_run queues)
{
	kernel_log_skip();
	both = queues & RECEIVE_RUNS && queues & TRANSMIT_RUNS && may_send(device);
	if (queues & RECEIVE_RUNS)
		receive_begin(both);
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

/* Errors of one queue: how often they were signalled, and which of the log's errors they are. */
struct errors {
	uint64_t times;
	unsigned from;
};

/*
 * The log does not say of which queue an error is. Where both have some, the first errors are of the queue that was woken
 * first: one runs after the other.
 */
static void count_errors(struct errors errors[QUEUES], int first)
{
	int second = QUEUES - 1 - first;

	for (int queue = 0; queue < QUEUES; queue++)
		errors[queue] = (struct errors){ drain(error_events[queue]), 0 };
	if (errors[first].times > 0 || errors[second].times > 0)
		kernel_log_read();
	if (errors[first].times == 0 || errors[second].times == 0)
		return;
	errors[second].from = (unsigned)errors[first].times;
	if (kernel_log_errors() != 0 && kernel_log_errors() != errors[0].times + errors[1].times)
		leave(ERRORED, "%u errors in the kernel's log are of two queues, which signalled %llu and %llu: whose are which?",
		      kernel_log_errors(), (unsigned long long)errors[0].times, (unsigned long long)errors[1].times);
}

static uint32_t say_error(const struct errors *errors)
{
	if (errors->times == 0)
		return 0;
	say(ERROR_SEEN);
	say(kernel_log_errno(errors->from, (unsigned)errors->times));
	say(errors->times);
	return 1;
}

/*
 * The device reports a chain for each packet, but for one whose report it could not write: then it has signalled an error
 * that says so. (Where the kernel's log has no errors, any error may be that.)
 */
static void expect_reported(struct device *device, int queue, uint32_t reported, uint32_t packets,
			    const struct errors *errors)
{
	if (errors->times > 0 && (kernel_log_errors() == 0 ||
				  kernel_log_names_used(errors->from, (unsigned)errors->times)))
		used_is_right(device, (uint32_t)queue);
	else if (reported != packets)
		leave(ERRORED, "%u packets of queue %d, but %u chains are reported as used", packets, queue, reported);
}

/* The rings have what they are to have, and no more. */
static void expect_rings_right(void)
{
	uint64_t host = ring_difference();

	if (host != 0)
		leave(ERRORED, "memory of rings changed where no step had it changed: 0x%llx", (unsigned long long)host);
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
	struct errors errors[QUEUES];

	count_errors(errors, sends_first ? TRANSMIT_QUEUE : RECEIVE_QUEUE);
	for (int turn = 0; turn < QUEUES; turn++) {
		bool sends = (turn == 0) == sends_first;
		int queue = sends ? TRANSMIT_QUEUE : RECEIVE_QUEUE;
		uint32_t reported = newly_used(device, (uint32_t)queue);
		uint32_t packets = sends ? say_sent(device) : say_received(device, reported);

		expect_reported(device, queue, reported, packets, &errors[queue]);
		events += packets + say_error(&errors[queue]);
	}
	expect_rings_right();
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

	if (!device->has_log || !is_log_memory(device->log_base)) {
		if (!log_is_empty())
			leave(ERRORED, "pages were marked in a log that was not given");
		return;
	}
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

void watch_refused(struct device *device, bool may_look_up)
{
	struct seen seen = watch_end(device);
	uint32_t events = 0, at = 1;

	/* An error that is no failed translation of a descriptor: kernels signal one where they ask for a miss too. */
	if (may_look_up && at < seen.count && seen.values[at] == ERROR_SEEN && seen.values[at + 1] == 0) {
		events++;
		at += 3;
	}
	if (may_look_up && at < seen.count && seen.values[at] == MISS_SEEN) {
		events++;
		at++;
	}
	if (seen.values[0] != events)
		leave(ERRORED, "something ran because of a call that was refused");
	if (seen.count != at)
		leave(ERRORED, "a call that was refused marked pages in the dirty log");
}

void watch_nothing(struct device *device, bool read)
{
	static const char *const items[ITEMS] = { "a packet came out", "the receive queue signalled an error",
						  "the transmit queue signalled an error", "the driver was called",
						  "a miss came" };
	const uint64_t *pages;
	enum item order[ITEMS];

	device_settle(device);
	/* One who reads a miss is woken for those that are left. */
	int count = woken(order);
	for (int i = 0; i < count; i++)
		if (order[i] != MISSES || !read)
			leave(ERRORED, "%s because of a step that makes nothing run", items[order[i]]);
	for (uint32_t queue = 0; queue < QUEUES; queue++)
		if (newly_used(device, queue) > 0)
			leave(ERRORED, "chains of queue %u were reported because of a step that makes nothing run", queue);
	expect_rings_right();
	if (written_pages(&pages) > 0)
		leave(ERRORED, "memory was written because of a step that makes nothing run, in the page at 0x%llx",
		      (unsigned long long)pages[0]);
	if (!log_is_empty())
		leave(ERRORED, "pages were marked in the dirty log because of a step that makes nothing run");
}
