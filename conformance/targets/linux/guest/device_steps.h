/* The operations of a vhost vector. */
#ifndef GPASPEC_DEVICE_STEPS_H
#define GPASPEC_DEVICE_STEPS_H

#include "device.h"
#include "flat.h"

void device_step(struct device *device, const struct flat_step *step);

#endif
