/*
 * The host memory of a vhost vector. The data backings are private mappings of a file, so that putting everything back is
 * one mapping, and the pages that were written are those that are no longer the file's.
 */
#ifndef GPASPEC_DEVICE_MEMORY_H
#define GPASPEC_DEVICE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAINT 0xee /* what paint_data() fills with: no byte of a packet that we make is that */

void memory_for_slots(void);   /* before a memslot vector: ordinary memory */
void memory_for_device(void);  /* before a vhost vector: rings and log are zero, data names itself */

/*
 * All bytes of the data backings are PAINT, or only those of the backings that packets are received into and none is sent
 * from (conformance/generate/vhost/runnable.py); or they name themselves again. Cheap.
 */
void paint_data(bool only_received);
void unpaint_data(void);
bool is_painted(uint64_t host);

/* The pages of data (host addresses, in order) that were written since it was painted, unpainted or begun with. */
size_t written_pages(const uint64_t **pages);

/*
 * The bits of the log that are set, as pairs (first, last) of bit numbers from the byte at `base` on; they are cleared.
 * How many pairs; -1 if a bit before that byte is set.
 */
long take_log(uint64_t base, const uint64_t **pairs);

/* Whether nothing is in the log. */
bool log_is_empty(void);

/*
 * The backing for rings has only what the driver wrote there, with ring_put(), and what the device wrote and was found to be
 * right, said with ring_is_right(). Its first byte of which that is not so, 0 if there is none.
 */
void ring_put(void *at, const void *bytes, size_t length);
void ring_is_right(const void *at, size_t length);
void ring_zero(uint8_t *from, size_t length);
uint64_t ring_difference(void);

/* Whether these bytes are in the backing for rings, or in that for logs. */
bool is_ring_memory(uint64_t host, uint64_t length);
bool is_log_memory(uint64_t host);

#endif
