/* SPDX-License-Identifier: Apache-2.0 */
/* A map on both sides. */
#ifndef FUZZ_SLOTS_H
#define FUZZ_SLOTS_H

#include "fuzz.h"

#define READERS 4
#define WORDS 64 /* how many slot words are remembered; 256 is a multiple */

struct views {
	const struct gpamap_view *library;
	const struct gpamap_view *naive;
};

struct reader {
	struct gpamap_reader *library; /* NULL: not made yet */
	struct gpamap_reader *naive;
	struct views views;
	bool inside;
};

struct both {
	struct gpamap *library;
	struct gpamap *naive;
	struct reader readers[READERS];
	uint32_t words[WORDS];
	size_t next_word;
	bool begun;
	size_t count; /* of slots, at most */
	size_t midway_count; /* of slots that were seen while the library waited; SIZE_MAX: it did not */
	struct gpamap_slot_info midway[MOST_ENTRIES];
	struct gpamap_slot_info scratch[MOST_ENTRIES];
};

extern struct both both;

/* The views of a reader; it enters if it is not inside. */
struct views reader_views(uint8_t which);

/* It leaves, if it entered for this. */
void reader_done(uint8_t which);

uint32_t take_word(void);

/* ask.c */
size_t compare_views(struct views views);
void same_slot(const char *what, const struct gpamap_slot_info *of_library, const struct gpamap_slot_info *of_naive);
void operate_log(uint8_t what);
void operate_question(uint8_t what);

#endif
