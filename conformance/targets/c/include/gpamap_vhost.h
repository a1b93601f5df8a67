/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address maps as vhost has them, and a device made of two.
 *
 * A *table* is a set of *entries*: guest bytes first .. last live at host bytes host, host + 1, ... (modulo 2^64, as
 * pointers do), and a device may do there what `perm` says. Entries may overlap. Of those that hold a byte the one that
 * starts first counts; of those that start at the same byte the one that was added first. That entry alone is asked: if it does
 * not permit an access, another that does is no help.
 *
 * A *device* has a memory table, and in IOTLB mode a second table, the *IOTLB*, which its addresses then go through. The
 * calls are those of a vhost device (Linux's ioctls and messages, vhost-user's single regions), for its memory alone:
 * there are no rings and no log here. Whoever moves the bytes asks gpamap_device_translate.
 *
 * Units, ranges and errors are as gpamap.h says; above all, a call that fails has changed nothing, unless its own comment says
 * what: a translation that stops half-way has used the entries before, and may have asked for a miss.
 *
 * Threads. One call at a time for each table and each device, but for the readers of a table: any number of threads look
 * into it while one changes it, each with a `struct gpamap_reader` of its own, as gpamap.h says.
 */
#ifndef GPAMAP_VHOST_H
#define GPAMAP_VHOST_H

#include "gpamap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Permissions, and accesses. */
#define GPAMAP_READ 1  /* the device reads */
#define GPAMAP_WRITE 2 /* the device writes */

struct gpamap_table;
struct gpamap_device;

struct gpamap_entry {
	uint64_t first; /* guest addresses */
	uint64_t last;
	uint64_t host;  /* where `first` lives; it need not be mapped */
	uint32_t perm;  /* GPAMAP_READ, GPAMAP_WRITE, both or none */
};

/* ---- Tables ---------------------------------------------------------------------------------------------------- */

/* What a full table does with one entry more. */
#define GPAMAP_REFUSE 0 /* it is refused */
#define GPAMAP_FIFO 1   /* the entry that was added first is given up for it */
#define GPAMAP_LRU 2    /* the entry whose last use (or addition, if later) is longest ago is given up for it */

struct gpamap_table_config {
	size_t limit;        /* how many entries it holds; at least 1, but for GPAMAP_REFUSE */
	uint32_t retirement; /* one of the three above */

	/* Memory, as in struct gpamap_config. */
	void *(*zalloc)(void *context, size_t size);
	void (*release)(void *context, void *memory, size_t size);
	void *context;

	/* As in struct gpamap_config. */
	void (*wait)(void *context);
	uint32_t largest_block;
};

/* Make an empty table. EINVAL: a number of `config` is out of its range, or one memory function is without the other.
 * ENOMEM: out of memory. */
int gpamap_table_create(const struct gpamap_table_config *config, struct gpamap_table **table);

/* Free a table, its readers too. No reader may be inside. NULL is allowed. */
void gpamap_table_destroy(struct gpamap_table *table);

/* Add an entry, the youngest. What it overlaps stays.
 * EINVAL: last < first, or unknown bits in perm. ENOSPC: the table is full, and refuses. ENOMEM: out of memory. */
int gpamap_table_add(struct gpamap_table *table, const struct gpamap_entry *entry);

/* Take out the entry with exactly this first, last and host, whatever its perm; of several the one that was added first.
 * ENOENT: there is none. ENOMEM: out of memory, in a transaction; never outside of one. */
int gpamap_table_remove(struct gpamap_table *table, uint64_t first, uint64_t last, uint64_t host);

/* Take out every entry that has a byte in first .. last, as a whole. Outside of a transaction it never fails for want of memory;
 * but where there is none, readers may see some entries gone and others not yet. EINVAL: last < first. ENOMEM: out of memory,
 * in a transaction. */
int gpamap_table_remove_range(struct gpamap_table *table, uint64_t first, uint64_t last);

/* Put these entries, added in this order, in the place of all that there are.
 * EINVAL: as in gpamap_table_add, for any of them. ENOSPC: more than the limit; none is given up for another. EBUSY: in a
 * transaction. ENOMEM: out of memory. */
int gpamap_table_replace(struct gpamap_table *table, const struct gpamap_entry *entries, size_t count);

/* Several changes as one. After gpamap_table_begin each call of gpamap_table_add, _remove and _remove_range is made upon those
 * before; all other calls and all readers find the table as it was, and nothing counts as used. gpamap_table_commit publishes
 * all at once, waits for readers, and cannot fail; gpamap_table_abort takes all back, the order in which entries are given up,
 * too, and so does gpamap_table_destroy. Removals need memory meanwhile. A call that fails leaves those before it in place.
 * gpamap_table_begin: EBUSY: begun already. The others: EINVAL: nothing was begun. */
int gpamap_table_begin(struct gpamap_table *table);
int gpamap_table_commit(struct gpamap_table *table);
int gpamap_table_abort(struct gpamap_table *table);

/* All entries in the order in which they count: the first `room` of them are stored, their number is returned. */
size_t gpamap_table_entries(const struct gpamap_table *table, struct gpamap_entry *entries, size_t room);

/* `length` bytes from `addr` on as host memory: segments in order, one for each run of bytes of one entry, stored in an
 * array that has `room`. In a table that is GPAMAP_LRU the entries of all segments were used, in that order, also where
 * the translation then stopped. `reach` is written in each case but EINVAL; no bytes need no entry.
 *
 * EINVAL: access is neither GPAMAP_READ nor GPAMAP_WRITE. Else it stopped, at the first byte of which this holds:
 * ENOBUFS: no room for its segment. EFAULT: there is no such address, or no entry holds it. EPERM: its entry does not
 * permit the access. */
int gpamap_table_translate(struct gpamap_table *table, uint64_t addr, uint64_t length, uint32_t access,
			   struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach);

/* ---- Readers of a table ---- */

struct gpamap_table_view;

/* Register a reader; these two count as writer's calls. A reader is used by one thread at a time, and with this table alone.
 * A reader that is destroyed may not be inside; NULL is allowed. ENOMEM: out of memory. */
int gpamap_table_reader_create(struct gpamap_table *table, struct gpamap_reader **reader);
void gpamap_table_reader_destroy(struct gpamap_table *table, struct gpamap_reader *reader);

/* Enter: the view stays as it is until the reader leaves, by gpamap_leave. Do not enter twice. */
const struct gpamap_table_view *gpamap_table_enter(struct gpamap_reader *reader);

/* Where does a byte live? `found` is the rest of its entry: addr .. the entry's last byte. What readers look at does not count as
 * used in a table that is GPAMAP_LRU.
 * EINVAL: access is neither GPAMAP_READ nor GPAMAP_WRITE. EFAULT: no entry holds it. EPERM: its entry does not permit the
 * access. */
int gpamap_table_lookup(const struct gpamap_table_view *view, uint64_t addr, uint32_t access,
			struct gpamap_segment *found);

/* The same, for one who asks about the same entry again and again: the reader remembers what it found last. `view` is what this
 * reader has entered. Where each address is in another entry, gpamap_table_lookup is faster. */
int gpamap_table_lookup_again(struct gpamap_reader *reader, const struct gpamap_table_view *view, uint64_t addr,
			      uint32_t access, struct gpamap_segment *found);

/* All entries that have a byte in first .. last, in the order in which they count: the first `room` of them are stored,
 * their number is returned. None, if last < first. */
size_t gpamap_table_range(const struct gpamap_table_view *view, uint64_t first, uint64_t last,
			  struct gpamap_entry *entries, size_t room);

/* gpamap_table_translate by a view. */
int gpamap_table_segments(const struct gpamap_table_view *view, uint64_t addr, uint64_t length, uint32_t access,
			  struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach);

/* ---- Devices --------------------------------------------------------------------------------------------------- */

#define GPAMAP_QUEUES 2 /* a device has queues 0 and 1 */

/* The feature bit that puts a device into IOTLB mode (VIRTIO_F_ACCESS_PLATFORM). */
#define GPAMAP_ACCESS_PLATFORM 0x200000000

/* The backend feature by which the device writes its misses in the second framing. */
#define GPAMAP_MESSAGES_V2 2

struct gpamap_device_config {
	uint32_t max_regions;   /* regions, of the memory table */
	uint32_t iotlb_limit;   /* entries, of the memory table and of the IOTLB each; at least 1 */
	uint64_t user_limit;    /* the first host address that an update may not reach */
	uint64_t features;      /* those that the device offers */
	uint32_t retirement;    /* of a full IOTLB: GPAMAP_FIFO or GPAMAP_LRU */
	uint32_t iotlb_follows; /* 1: without the feature no IOTLB; 0: a device that had an IOTLB once keeps one */

	/* Who is calling? gpamap_device_set_owner takes the answer down. NULL: always the same. */
	uint64_t (*caller)(void *context);

	/* Memory, as in struct gpamap_config. */
	void *(*zalloc)(void *context, size_t size);
	void (*release)(void *context, void *memory, size_t size);
	void *context;

	uint32_t largest_block; /* as in struct gpamap_config */
};

/* Make a device: without owner, table and IOTLB. EINVAL: a number of `config` is out of its range, or one memory
 * function is without the other. ENOMEM: out of memory. */
int gpamap_device_create(const struct gpamap_device_config *config, struct gpamap_device **device);

/* Free a device. NULL is allowed. */
void gpamap_device_destroy(struct gpamap_device *device);

/* Make the caller the owner. EBUSY: there is one. */
int gpamap_device_set_owner(struct gpamap_device *device);

/* Give the device up: it is as new, but with an empty memory table.
 * EPERM: the caller is not the owner, or there is none. */
int gpamap_device_reset_owner(struct gpamap_device *device);

/* Agree on features. With GPAMAP_ACCESS_PLATFORM the device is in IOTLB mode, and its IOTLB is empty, also if it was in it
 * before. Without, and with iotlb_follows, it is not, and forgets its misses.
 * EFAULT: features is NULL. EOPNOTSUPP: some are not offered. */
int gpamap_device_set_features(struct gpamap_device *device, const uint64_t *features);

/* Agree on 0, or GPAMAP_MESSAGES_V2. EFAULT: features is NULL. EOPNOTSUPP: others. */
int gpamap_device_set_backend_features(struct gpamap_device *device, const uint64_t *features);

/* ---- A device's memory table ---- */

/* Guest bytes gpa .. gpa + size - 1 live at host bytes hva, ... A device may read and write all of them. */
struct gpamap_memory_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t hva;
};

struct gpamap_memory_table {
	uint32_t nregions;
	uint32_t padding; /* 0 */
	const struct gpamap_memory_region *regions; /* may be NULL for none */
};

/* Put this table in the place of the one there is, as a whole.
 * EPERM: the caller is not the owner, or there is none. EFAULT: table is NULL. EOPNOTSUPP: padding is not 0. E2BIG: more
 * than max_regions. EFAULT: regions is NULL. E2BIG: more than iotlb_limit. EFAULT: a region has no byte, or goes on past the
 * last address. ENOMEM: out of memory. */
int gpamap_device_set_mem_table(struct gpamap_device *device, const struct gpamap_memory_table *table);

/* One region more, the last of the table. A device that was never given a table has an empty one from now on.
 * EPERM: as above. EFAULT: the region has no byte, or goes on past the last address. ENOSPC: there are max_regions or
 * iotlb_limit already. ENOMEM: out of memory. */
int gpamap_device_add_region(struct gpamap_device *device, uint64_t gpa, uint64_t size, uint64_t hva);

/* Take out the region with these three values; of several the one that was added first.
 * EPERM: as above. ENOENT: there is none. */
int gpamap_device_remove_region(struct gpamap_device *device, uint64_t gpa, uint64_t size, uint64_t hva);

/* Take out every region that has a byte in first .. last, as a whole. EPERM: as above. EINVAL: last < first. */
int gpamap_device_remove_range(struct gpamap_device *device, uint64_t first, uint64_t last);

/* ---- Messages ---- */

/* A message is GPAMAP_MESSAGE_BYTES bytes, numbers in the processor's byte order:
 *
 *      0  u32  framing: 1 or 2
 *      4  u32  says nothing to this device
 *      8  u64  iova   an I/O virtual address: what the device takes for a guest address in IOTLB mode
 *     16  u64  size   bytes from iova on
 *     24  u64  uaddr  where they live in host memory
 *     32  u8   perm   GPAMAP_READ, GPAMAP_WRITE; other bits say nothing
 *     33  u8   kind
 *     34       says nothing; from byte 40 on it need not be written
 */
#define GPAMAP_MESSAGE_BYTES 72

#define GPAMAP_MISS 1       /* from the device: byte `iova` is needed for access `perm` */
#define GPAMAP_UPDATE 2     /* to the device: one more entry; a full IOTLB gives another up for it */
#define GPAMAP_INVALIDATE 3 /* to the device: out with each entry that has a byte of the range. A range that passes the
			     * last address goes on at 0; one without bytes takes nothing */

/* The queues that wait for nothing more, because of an update: each once, the one whose miss was asked first comes first. */
struct gpamap_woken {
	uint32_t count;
	uint32_t queues[GPAMAP_QUEUES];
};

/* Take a message of `length` bytes, of which at most 40 are read. Returns GPAMAP_MESSAGE_BYTES. An update answers the
 * misses in its range that were read, and wakes their queues; misses that nobody has read stay. `woken` may be NULL.
 *
 * EINVAL: less than 4 bytes; unknown framing; less than 40 bytes; update of no bytes. EFAULT: kind is neither update nor
 * invalidation; not in IOTLB mode; update that passes the last host address, or (with a permission) reaches user_limit, or
 * passes the last guest address. ENOMEM: out of memory. */
int gpamap_device_write(struct gpamap_device *device, const void *message, size_t length, struct gpamap_woken *woken);

/* Give out the oldest miss that was not read, in the framing that was agreed on when it came: `length` is the room for it,
 * GPAMAP_MESSAGE_BYTES are written, and their number returned. 0: there is no room for so many, and nothing is written.
 * EAGAIN: all were read. */
int gpamap_device_read(struct gpamap_device *device, void *message, size_t length);

/* ---- Translation ---- */

/* gpamap_table_translate, by the IOTLB in IOTLB mode, else by the memory table; a device without one has no entries. `queue`
 * is the queue that needs the bytes. EINVAL also: there is no such queue.
 * EAGAIN, in IOTLB mode, instead of EFAULT where no entry holds the byte: it is now a miss, and the queue waits for it.
 * ENOMEM: no memory for the miss; the entries of the segments then count as not used. Each time is a miss of its own. */
int gpamap_device_translate(struct gpamap_device *device, uint32_t queue, uint64_t addr, uint64_t length, uint32_t access,
			    struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach);

/* ---- Looking ---- */

/* The memory table or the IOTLB as it is now, for gpamap_table_entries. NULL: there is none. */
const struct gpamap_table *gpamap_device_table(const struct gpamap_device *device);
const struct gpamap_table *gpamap_device_iotlb(const struct gpamap_device *device);

struct gpamap_miss {
	uint32_t queue;
	uint32_t access;
	uint64_t iova;
	uint32_t framing;
};

/* The misses that were not read yet (`read` is 0), or those that were read and not answered (else), from the oldest on:
 * the first `room` of them are stored, their number is returned. */
size_t gpamap_device_misses(const struct gpamap_device *device, int read, struct gpamap_miss *misses, size_t room);

#ifdef __cplusplus
}
#endif

#endif
