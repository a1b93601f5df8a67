/* Packets that go to the device: where they were written is found by looking at all memory that a device may reach. */
#ifndef GPASPEC_RECEIVED_H
#define GPASPEC_RECEIVED_H

#include "device.h"

#include <stdint.h>

/* Send a packet of `length` bytes, its header included. */
void packet_comes(struct device *device, uint64_t length);

/* Before a step, and after it: events into a result (see watch.c), how many. */
void receive_begin(struct device *device);
uint32_t say_received(struct device *device);
void say(uint64_t value);

#endif
