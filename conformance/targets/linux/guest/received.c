#include "received.h"

#include "driver.h"
#include "step.h"

void packet_comes(struct device *device, uint64_t length)
{
	(void)device;
	leave(SKIPPED, "packets of %llu bytes do not come yet", (unsigned long long)length);
}

void receive_begin(struct device *device)
{
	(void)device;
}

uint32_t say_received(struct device *device)
{
	(void)device;
	return 0;
}
