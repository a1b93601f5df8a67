/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libgpamap: which guest byte lives at which host byte, and which guest pages were written.
 *
 * A *slot* maps a run of guest pages to a run of host addresses. Slots belong to an *address space*, in which they do not
 * overlap, and have a number in it. A *slot word* names a slot: the address space in its upper 16 bits, the number in its
 * lower 16 bits.
 *
 * Units and ranges. Guest and host addresses and sizes are in bytes. Pages have 4096 bytes. All ranges include both
 * ends (first .. last), so that a range can name the last byte there is.
 *
 * Errors. Functions that can fail return 0, or a negative number from <errno.h>. A call that fails has changed nothing,
 * also when memory runs out, unless its own comment says what (gpamap_access stops half-way). Errors are listed in the
 * order in which they are looked for: the first that applies is returned.
 *
 * Threads. One *writer* at a time: calls that take a `struct gpamap *` are to be serialised by the caller. Any number of
 * *readers* work meanwhile, each with a `struct gpamap_reader` of its own:
 *
 *     const struct gpamap_view *view = gpamap_enter(reader);
 *     ... gpamap_lookup(view, ...) ...                          all answers come from one state of the map
 *     gpamap_leave(reader);
 *
 * But dirty logs are live: what gpamap_access marks and the writer takes out is seen at once, by readers that are inside, too.
 *
 * A reader never waits, never tries again, and writes nothing that another reader writes (but the words of a dirty log, and one
 * flag once, in gpamap_access).
 * The writer publishes a change by one store, and then waits until the readers that entered before have left: it is
 * therefore not to be called by a thread that is inside.
 */
#ifndef GPAMAP_H
#define GPAMAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GPAMAP_PAGE_SIZE 4096
#define GPAMAP_MAX_SLOT_PAGES 2147483647

/* Flags of a slot. */
#define GPAMAP_LOG_DIRTY_PAGES 1
#define GPAMAP_READONLY 2

/* Modes of the dirty log, see gpamap_enable_manual_protect. */
#define GPAMAP_MANUAL_PROTECT 1
#define GPAMAP_INITIALLY_SET 2

/* For largest_block in a config. */
#define GPAMAP_LARGEST_BLOCK 512

/* For gpamap_config.last_gfn: slots may be anywhere. */
#define GPAMAP_NO_LAST_GFN 0xffffffffffffffff

struct gpamap;
struct gpamap_reader;
struct gpamap_view;

/* ---- A map ----------------------------------------------------------------------------------------------------- */

/* What a map allows, and what it gets from its owner. All zero but the first four is a good start. */
struct gpamap_config {
	uint32_t user_slots;          /* slot numbers are 0 .. user_slots - 1; 1 .. 65536 */
	uint32_t address_spaces;      /* address spaces are 0 .. address_spaces - 1; 1 .. 65536 */
	uint64_t user_limit;          /* the first host address that no slot may reach, for example 2^47 - 4096 */
	uint64_t last_gfn;            /* the last page that a slot may hold, or GPAMAP_NO_LAST_GFN */
	uint32_t dirty_ring;          /* 1: gpamap_enable_dirty_ring works; 0: there is no such thing */
	uint32_t smallest_dirty_ring; /* bytes */

	/* Who is calling? The answer at creation is the map's owner; others get EIO. NULL: everybody is the owner. */
	uint64_t (*caller)(void *context);

	/* Memory: `size` bytes, all 0, aligned for any type; NULL if there are none. NULL: calloc and free. */
	void *(*zalloc)(void *context, size_t size);
	void (*release)(void *context, void *memory, size_t size);

	/* Called again and again while the writer waits for readers, from inside one of its calls, when the change is
	 * published already. It may do all that readers do, on this map too (a reader that it lets enter has to leave, at this
	 * turn or at a later one), and no call that counts as the writer's on this map. NULL: let another thread run. */
	void (*wait)(void *context);

	void *context;

	/* How many slots are kept, and copied when one of them is changed, together (twice as many if those are all): at most
	 * 512. More make lookups faster and changes slower. 0: 40. 1: 2. */
	uint32_t largest_block;
};

/* Make an empty map. EINVAL: a number of `config` is out of its range, or one memory function is without the other.
 * ENOMEM: out of memory. */
int gpamap_create(const struct gpamap_config *config, struct gpamap **map);

/* Free a map, its readers too; changes that were not committed are lost. No reader may be inside. NULL is allowed. */
void gpamap_destroy(struct gpamap *map);

/* ---- Changing slots -------------------------------------------------------------------------------------------- */

/* The fields of struct kvm_userspace_memory_region, under the same names but for the prefixes. */
struct gpamap_region {
	uint32_t slot;  /* slot word */
	uint32_t flags; /* GPAMAP_LOG_DIRTY_PAGES, GPAMAP_READONLY */
	uint64_t gpa;   /* first guest address */
	uint64_t size;  /* 0 deletes the slot */
	uint64_t hva;   /* first host address; it need not be mapped */
};

/* Create, move or delete a slot, or change its flags:
 *
 *     no such slot, size > 0    create
 *     size 0                    delete
 *     other gpa                 move, and take the new flags; the log moves with the slot
 *     other flags               change the flags; a log that stays on keeps its pages
 *     all the same              nothing
 *
 * `version` is 1. (2 is the form with guest memory files, which this library does not have.)
 *
 * EIO      the caller is not the owner
 * ENOTTY   version is not 1
 * EFAULT   region is NULL
 * EINVAL   number or flags unknown; size, gpa or hva not a multiple of the page size; hva + size > user_limit (all of
 *          this for a delete, too); no such address space; gpa + size >= 2^64; more than GPAMAP_MAX_SLOT_PAGES pages;
 *          delete of a slot that is not there; change of hva, size or GPAMAP_READONLY of one that is
 * EEXIST   a new or moved slot shares a page with another slot of its address space
 * EINVAL   a new or moved slot passes last_gfn
 * ENOMEM   out of memory
 */
int gpamap_set_region(struct gpamap *map, int version, const struct gpamap_region *region);

/* Guest memory files do not exist here. EIO: the caller is not the owner. ENOTTY: otherwise. */
int gpamap_create_guest_memfd(struct gpamap *map);

/* Several changes as one. After gpamap_begin, changes of slots are checked and made as usual, each upon those before,
 * but no reader and no other call sees them until gpamap_commit publishes all at once. gpamap_abort takes them
 * all back. A change that fails leaves those before it in place. Dirty logs are those of the slots that readers see. The
 * writer waits for readers in gpamap_commit, not before. EIO: the caller is not the owner. gpamap_begin: EBUSY: begun
 * already. The others: EINVAL: nothing was begun. */
int gpamap_begin(struct gpamap *map);
int gpamap_commit(struct gpamap *map);
int gpamap_abort(struct gpamap *map);

/* ---- Dirty logs ------------------------------------------------------------------------------------------------ */

/* A log has one bit for each page of its slot, bit 0 of word 0 for the first. It is kept where a slot has
 * GPAMAP_LOG_DIRTY_PAGES (and the map had no dirty ring when the flag was set). */

struct gpamap_get_log {
	uint32_t slot;    /* slot word */
	uint64_t *bitmap; /* room for the pages of the slot, in whole 64-bit words: all are written */
};

struct gpamap_clear_log {
	uint32_t slot;          /* slot word */
	uint64_t first_page;    /* the page of the slot for which bit 0 of the bitmap stands; a multiple of 64 */
	uint64_t num_pages;     /* a multiple of 64, unless the pages reach to the slot's end */
	const uint64_t *bitmap; /* num_pages bits in whole words; may be NULL for 0 pages */
};

struct gpamap_enable {
	uint32_t flags;  /* 0 */
	uint64_t option; /* see the functions */
};

/* Report the log. It starts anew, unless manual protection is on.
 * EIO: not the owner. EFAULT: request is NULL. ENXIO: a dirty ring is used. EINVAL: no such address space or slot
 * number. ENOENT: no such slot, or it keeps no log. EFAULT: bitmap is NULL. */
int gpamap_get_dirty_log(struct gpamap *map, const struct gpamap_get_log *request);

/* Take the pages whose bits are 1 out of the log. Works with and without manual protection.
 * EIO: not the owner. EFAULT: request is NULL. ENXIO: a dirty ring is used. EINVAL: no such address space or slot
 * number, or first_page not a multiple of 64. ENOENT: no such slot, or it keeps no log. EINVAL: the pages pass the
 * slot's end, or num_pages is neither a multiple of 64 nor reaches it. EFAULT: bitmap is NULL. */
int gpamap_clear_dirty_log(struct gpamap *map, const struct gpamap_clear_log *request);

/* Who clears logs: option 0, gpamap_get_dirty_log; GPAMAP_MANUAL_PROTECT, only gpamap_clear_dirty_log; with
 * GPAMAP_INITIALLY_SET added, the same, and logs that begin from now on begin with every page set.
 * EIO: not the owner. EFAULT: request is NULL. EINVAL: flags are not 0, or the option is none of the three. */
int gpamap_enable_manual_protect(struct gpamap *map, const struct gpamap_enable *request);

/* Let dirty pages be reported otherwise, by a ring of option % 2^32 bytes that this library does not keep: from now on
 * no log begins, none grows, and none can be read or cleared.
 * EIO: not the owner. EFAULT: request is NULL. EINVAL: the map has no rings, the size is not a power of two, or below
 * smallest_dirty_ring. E2BIG: more than 1 MiB. EINVAL: chosen already, or after the first gpamap_access. */
int gpamap_enable_dirty_ring(struct gpamap *map, const struct gpamap_enable *request);

/* ---- Readers --------------------------------------------------------------------------------------------------- */

/* Register a reader; these two count as writer's calls. A reader is used by one thread at a time, and with this map alone.
 * A reader that is destroyed may not be inside; NULL is allowed. ENOMEM: out of memory. */
int gpamap_reader_create(struct gpamap *map, struct gpamap_reader **reader);
void gpamap_reader_destroy(struct gpamap *map, struct gpamap_reader *reader);

/* Enter: the view stays as it is until the reader leaves. Do not enter twice. */
const struct gpamap_view *gpamap_enter(struct gpamap_reader *reader);
void gpamap_leave(struct gpamap_reader *reader);

/* Guest bytes first .. last live at host bytes host, host + 1, ... */
struct gpamap_segment {
	uint64_t first;
	uint64_t last;
	uint64_t host;
};

struct gpamap_slot_info {
	uint32_t slot;   /* slot word */
	uint32_t flags;  /* as set */
	uint64_t first;  /* guest addresses */
	uint64_t last;
	uint64_t host;   /* where `first` lives */
	uint32_t logged; /* 1 if a log is kept */
};

struct gpamap_guest_range {
	uint32_t slot;  /* slot word */
	uint64_t first; /* guest addresses */
	uint64_t last;
};

/* Where does a guest byte live? `found` is the rest of its slot: gpa .. the slot's last byte.
 * EFAULT: no slot holds it. EACCES: `write` is not 0 and the slot is read-only. */
int gpamap_lookup(const struct gpamap_view *view, uint32_t space, uint64_t gpa, int write, struct gpamap_segment *found);

/* The same for one who asks about the same slot again and again: the reader remembers what it found last. Slower where the
 * next address is in another slot. `view` is what this reader entered. */
int gpamap_lookup_again(struct gpamap_reader *reader, const struct gpamap_view *view, uint32_t space, uint64_t gpa,
			int write, struct gpamap_segment *found);

/* How far a translation came. */
struct gpamap_reach {
	uint64_t bytes;  /* addr + bytes is the first byte that cannot be had; where that is 0 and bytes is not, it is 2^64 */
	size_t segments; /* how many were stored */
};

/* `length` guest bytes from gpa on as host memory: segments in order, one for each slot, stored in an array that has
 * `room`. `reach` is always written; no bytes need no slot. Not 0: it stopped, at the first byte of which this holds:
 * ENOBUFS: no room for its segment. EFAULT: there is no such address, or no slot holds it. EACCES: `write` is not 0 and
 * its slot is read-only. */
int gpamap_translate(const struct gpamap_view *view, uint32_t space, uint64_t gpa, uint64_t length, int write,
		     struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach);

/* The first slot with a byte at or after gpa. To see all slots of a range, go on at found.last + 1: no slot has the last page of
 * all. ENOENT: there is none. */
int gpamap_next_slot(const struct gpamap_view *view, uint32_t space, uint64_t gpa, struct gpamap_slot_info *found);

/* Which guest byte lives at a host byte? `found` is the rest of its slot, from that byte on. Of several slots that have it the one
 * whose host range starts first is taken; if that is the same, the one with the lower slot word. ENOENT: there is none. */
int gpamap_lookup_hva(const struct gpamap_view *view, uint64_t hva, struct gpamap_guest_range *found);

/* The slot with this slot word. ENOENT: there is none. */
int gpamap_find_slot(const struct gpamap_view *view, uint32_t slot, struct gpamap_slot_info *found);

/* All slots in order of address space and guest address: the first `room` of them are stored, their number is returned. */
size_t gpamap_slots(const struct gpamap_view *view, struct gpamap_slot_info *slots, size_t room);

/* The guest bytes that live at host bytes first .. last (first <= last): of each slot the part that does. They come in order of the
 * slots' host addresses, and of slot words where these are the same; the first `room` are stored, their number is returned. */
size_t gpamap_hva_range(const struct gpamap_view *view, uint64_t first, uint64_t last, struct gpamap_guest_range *ranges,
			size_t room);

/* The next run of dirty pages of a slot, at or after page `from` of the slot. 1: it is *first .. *last. 0: there is none, or
 * no log. The log is not changed. It is live, not of the view: if others mark pages meanwhile, or the writer takes them out, each
 * page of the run was in the log when it was looked at. */
int gpamap_next_dirty(const struct gpamap_view *view, uint32_t slot, uint64_t from, uint64_t *first, uint64_t *last);

/* What to do with a piece of an access; anything but 0 stops the access. */
typedef int (*gpamap_piece)(void *context, const struct gpamap_segment *piece);

/* Read or write `length` guest bytes of address space 0, page by page: each page is looked up, handed to `piece`, and, if
 * written, marked in its slot's log after that. What was done before the access stops stays done.
 * EFAULT, EACCES: it stopped at a page, as in gpamap_lookup. Anything else but 0: what `piece` returned. */
int gpamap_access(const struct gpamap_view *view, uint64_t gpa, uint64_t length, int write, gpamap_piece piece,
		  void *context);

#ifdef __cplusplus
}
#endif

#endif
