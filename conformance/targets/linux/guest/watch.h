/* What can be seen of a device's run from outside, in the order in which it was seen. */
#ifndef GPASPEC_WATCH_H
#define GPASPEC_WATCH_H

#include "device.h"
#include "flat.h"

/* Before the first vector; for each new device. */
void watch_prepare(void);
void watch_device(const struct device *device);

/* Before a step that may make queues run. */
enum may_run { NONE_RUNS = 0, RECEIVE_RUNS = 1, TRANSMIT_RUNS = 2 };
void watch_begin(struct device *device, enum may_run queues);

/*
 * After it: the events as they go into a RAN result, and the pages marked in the dirty log. Leaves the vector where what
 * was seen cannot be told.
 */
struct seen {
	uint32_t count;
	const uint64_t *values;
};
struct seen watch_end(struct device *device);

/*
 * After a step that makes no queue run: leaves the vector where one ran all the same. After a call that was watched and
 * refused too; there `may_look_up` says that it may have looked a ring up, signalled an error and asked for what it
 * missed. `read`: the step read a message.
 */
void watch_nothing(struct device *device, bool read);
void watch_refused(struct device *device, bool may_look_up);

#endif
