/* The driver's part of a queue: rings at fixed places in the backing for rings, written as a guest would write them. */
#ifndef GPASPEC_DRIVER_H
#define GPASPEC_DRIVER_H

#include "device.h"
#include "flat.h"

#include <linux/vhost.h>

/* Where the parts of a queue's ring are, as the kernel is told. */
struct vhost_vring_addr ring_places(uint32_t queue);

/* Offer the chain of a step. Leaves the vector where the ring has no room for it. */
void offer_chain(struct device *device, uint32_t queue, const struct flat_step *step);

/* The size of a ring has changed: what waits in it is offered again in the new one. */
void ring_resized(struct device *device, uint32_t queue, uint32_t size);

/* The device was reset: rings are empty and start anew. */
void rings_restart(struct device *device);

/*
 * How many chains the device has reported as used since this was last asked. Leaves the vector where they are not those that
 * are to be reported next.
 */
uint32_t newly_used(struct device *device, uint32_t queue);

/* The device says that it could not write its part of the ring: whatever is there now is right. */
void used_is_right(struct device *device, uint32_t queue);

/* The length that the device reported for one of these: `back` 1 for the last. */
uint32_t used_length(const struct device *device, uint32_t queue, uint32_t back);

#endif
