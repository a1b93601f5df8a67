/*
 * The flat binary form of vectors (in) and results (out). Little endian; docs/linux.md has the layout.
 * conformance/targets/linux/flat.py is the other end.
 */
#ifndef GPASPEC_FLAT_H
#define GPASPEC_FLAT_H

#include <stddef.h>
#include <stdint.h>

#define FLAT_VERSION 2
#define FLAT_BACKINGS 6

struct flat_header {
	char magic[8]; /* "GPAFLAT\0" */
	uint32_t version, vectors;
	uint64_t length; /* of the whole file, in bytes */
	uint32_t backings, backing_pages;
	uint64_t base[FLAT_BACKINGS];
};

struct flat_vector {
	uint32_t index, steps;
	uint32_t id_bytes, length; /* length: of this vector with this header, in bytes */
};

struct flat_step {
	uint8_t operation, bits;
	uint16_t zero;
	uint32_t ranges; /* pairs of u64 that follow: ranges, or two pairs for a region or a descriptor */
	uint32_t slot;
	int32_t file;
	uint64_t v[5];
};

enum operation {
	SET_REGION = 1,
	CREATE_MEMFD,
	GET_DIRTY_LOG,
	CLEAR_DIRTY_LOG,
	MANUAL_PROTECT,
	DIRTY_RING,
	GUEST_WRITE,
	VCPU_READ,
	VCPU_WRITE,
	LOOKUP,
	FIND_SLOT,
	HVA_RANGE,
	OBSERVE,
	SET_OWNER,
	RESET_OWNER,
	SET_FEATURES,
	SET_BACKEND_FEATURES,
	SET_MEM_TABLE,
	SET_LOG_BASE,
	SET_RING_SIZE,
	SET_RING_ADDRESSES,
	SET_BACKEND,
	WRITE_MESSAGE,
	READ_MESSAGE,
	TRANSMIT,
	OFFER,
	PACKET,
	KICK,
	UNKNOWN_TO_KERNELS, /* a query that userspace has no way to ask */
	OPERATIONS_END,
};

#define FIRST_VHOST_OPERATION SET_OWNER

enum { FROM_OWNER = 1, READABLE = 2, BUFFER_OK = 4, SECOND_FORM = 8 };

enum frame { HELLO = 1, BEGIN, RESULTS, SKIPPED, ERRORED, END, FATAL, OUTPUT };

struct frame_header {
	char magic[4]; /* "GPAR" */
	uint32_t kind, index, length;
};

enum result {
	DONE = 0,
	REFUSED,
	DIRTY_PAGES,
	WRITTEN,
	TOUCHED,
	MMIO,
	UNOBSERVABLE,
	RAN,
	MESSAGE_TAKEN,
	MISS_READ,
	NOTHING_READ
};

/* What a device's run looks like from outside, in a RAN or MESSAGE_TAKEN result; each starts with its kind. */
enum event { SENT_BYTES = 1, RECEIVED_AT, MISS_SEEN, ERROR_SEEN };

struct result_header {
	uint8_t kind, stopped;
	uint16_t zero;
	uint32_t count; /* u64 that follow */
};

/* Read and check a whole file; on a malformed one, end with a message that says where. */
struct flat_file {
	const uint8_t *bytes;
	const struct flat_header *header;
};
struct flat_file flat_open(const char *path);

#endif
