/* One vhost device for one vector: its file, and what this program itself remembers to be able to be its driver. */
#ifndef GPASPEC_DEVICE_H
#define GPASPEC_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#define RECEIVE_QUEUE 0
#define TRANSMIT_QUEUE 1
#define QUEUES 2
#define HEADERLESS (1ull << 27) /* feature: the device makes packet headers itself, the tap has none */

struct queue {
	uint32_t size;	     /* descriptors */
	uint16_t available;  /* the driver's index: chains offered so far */
	uint16_t seen_used;  /* the device's index when it was last looked at */
	uint16_t reported;   /* the driver's index of the chain that is to be reported next */
	uint32_t next_slot;  /* of the descriptor table */
	bool attached;
};

struct device {
	int fd;
	uint64_t features, log_base;
	bool has_log;
	struct queue queue[QUEUES];
};

extern bool device_there; /* whether this kernel has vhost-net and a tap for it */
extern const char *device_missing;

/* Make what all vectors share, once. */
void devices_prepare(void);

/* A new device, or what failed. */
const char *device_open(struct device *device);
void device_close(struct device *device);

/* Return when the device has done all that it was asked for so far. */
void device_settle(struct device *device);

/* Give a queue fresh ways to be kicked and to report errors; without an owner it takes none. */
void device_connect(struct device *device, uint32_t queue);

/* Whether the receive queue tells when it has reported chains. */
void device_calls(struct device *device, bool wanted);
void device_kick(uint32_t queue);
extern int error_events[QUEUES], call_events[QUEUES];

/* How many chains the device has taken from a queue so far. */
uint16_t device_taken(struct device *device, uint32_t queue);

/* The length of the packet headers that were agreed on. */
uint32_t header_bytes(const struct device *device);

#endif
