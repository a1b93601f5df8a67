/*
 * Packets that go to the device. Each byte of a packet has a content of its own as far as bytes can; where it was written is
 * found by looking at all memory that changed.
 */
#ifndef GPASPEC_RECEIVED_H
#define GPASPEC_RECEIVED_H

#include "device.h"

#include <stdint.h>

void packets_forget(void); /* before a vector */

bool packets_came(void);   /* in this vector */

/* A packet of `length` bytes, its header included, comes. */
void packet_comes(uint64_t length);

/*
 * Before a step in which the receive queue may run, and after each step: events into a result (see watch.c), how many.
 * Memory is painted meanwhile, so that every byte that is written shows, but for what may be sent.
 */
void receive_begin(bool something_may_be_sent);
uint32_t say_received(const struct device *device, uint32_t reported); /* how many chains were reported as used meanwhile */
void say(uint64_t value);

#endif
