/* SPDX-License-Identifier: Apache-2.0 */
/* A vhost device's memory table: add two regions, translate a buffer that crosses from one to the other. */
#include <stdio.h>

#include <gpamap_vhost.h>

int main(void)
{
	struct gpamap_device_config config = {
		.max_regions = 64,
		.iotlb_limit = 2048,
		.user_limit = 0x7ffffffff000,
		.features = GPAMAP_ACCESS_PLATFORM,
		.retirement = GPAMAP_FIFO,
	};
	struct gpamap_segment segments[4];
	struct gpamap_device *device;
	struct gpamap_reach reach;
	size_t i;

	if (gpamap_device_create(&config, &device) || gpamap_device_set_owner(device) ||
	    gpamap_device_add_region(device, 0x10000, 0x1000, 0x7f0000000000) ||
	    gpamap_device_add_region(device, 0x11000, 0x1000, 0x7f8000000000))
		return 1;
	if (gpamap_device_translate(device, 1, 0x10ff0, 32, GPAMAP_READ, segments, 4, &reach) == 0)
		for (i = 0; i < reach.segments; i++)
			printf("0x%llx .. 0x%llx at 0x%llx\n", (unsigned long long)segments[i].first,
			       (unsigned long long)segments[i].last, (unsigned long long)segments[i].host);
	gpamap_device_destroy(device);
	return 0;
}
