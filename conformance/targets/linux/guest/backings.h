/*
 * The host memory of the vectors at fixed addresses: four backings of data, every 4-byte word of which names itself, so
 * that what is read tells where it was read, and what differs tells where something was written; then one for the rings of
 * a vhost device and one for its dirty log (see device_memory.h).
 */
#ifndef GPASPEC_BACKINGS_H
#define GPASPEC_BACKINGS_H

#include "flat.h"

#include <stdbool.h>

#define DATA_BACKINGS 4
enum { RING_BACKING = DATA_BACKINGS, LOG_BACKING };

void backings_map(const struct flat_header *header);

uint8_t *backing_bytes(int backing);
uint64_t backing_size(void);
uint32_t backing_word(uint32_t page, uint32_t offset); /* what belongs there; pages are counted from the first backing's */
uint8_t backings_byte(uint64_t host); /* what belongs at a host address of the data */
void backing_fill_anew(int backing);		       /* with the words that name themselves */

/* The host address of the word with this content, 0 if no word of a backing has it. */
uint64_t backings_find_word(uint32_t content);

/* Whether the host bytes first..first+length-1 lie in a backing. */
bool backings_hold(uint64_t first, uint64_t length);

/* A byte value that differs from what every page has at this offset into the page. */
uint8_t backings_new_byte(uint32_t page_offset);

/*
 * Where to look: page `only` (a host address), or every page when it is 0. Looking at one page at a time is a matter of speed:
 * backings_check finds what changed anywhere else.
 */
struct change {
	unsigned pages; /* pages that changed there */
	uint64_t host;	/* host address of the first changed byte, in the first such page */
	uint32_t mask;	/* which of the bytes changed there: bit 0 for the first of `length` */
};

/* Bytes that differ from the words that name themselves, or from `fill` (not NULL) as backings_fill put it there. */
struct change backings_changed(uint64_t only, uint32_t page_offset, uint32_t length, const uint8_t *fill);

/* Put these bytes into the page or pages at this offset, or put back what belongs there. */
void backings_fill(uint64_t only, uint32_t page_offset, uint32_t length, const uint8_t *fill);
void backings_restore(uint64_t only, uint32_t page_offset, uint32_t length);

/* Say that a slot of this vector has these host bytes: their pages are checked when the vector ends. */
void backings_mark(uint64_t first, uint64_t length);

/*
 * Compare the marked pages, or all, and take the marks off; what differs is restored. The host address of the first word
 * that differs, 0 if none.
 */
uint64_t backings_check(bool everything);

#endif
