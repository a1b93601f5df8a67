/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as a sequence of operations, each done on libgpamap and on the naive model.
 *
 *     input = subject, its configuration, operations until the bytes end        (a byte that is missing is 0)
 *
 * The first difference ends the program, after the whole sequence was told: it is done a second time with `telling` set.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "calls.h"

#define MOST_ENTRIES 4096    /* of one subject */
#define MOST_OPERATIONS 20000 /* of one input */
#define UNTOUCHED 0xee       /* what the room for an answer is filled with before */
#define ROOM_FOR_ENTRIES (MOST_ENTRIES + 256)

/* ---- bytes.c: what the bytes say ---- */

void bytes_are(const uint8_t *data, size_t size);
bool bytes_left(void);
uint8_t take8(void);
uint16_t take16(void);
uint32_t take32(void);
uint64_t take64(void);

/* An address or another large number: often one page of few, or near one that was used before. */
uint64_t take_number(void);

/* A size in bytes: often some pages. */
uint64_t take_size(void);

/* How many: often few, sometimes a thousand. At least 1. */
uint32_t take_count(void);

/* For a configuration. */
uint32_t take_largest_block(void);

/* Numbers that were used: take_number comes back to them. */
void remember(uint64_t number);

/* ---- heap.c: the library's memory, which can be made to fail ---- */

void *heap_zalloc(void *context, size_t size);
void heap_release(void *context, void *memory, size_t size);
void heap_begin(void);

/* Everything was released. */
void heap_end(void);

/* Let an allocation fail, after so many that do not; `all`: those after it fail, too. */
void heap_fail(uint32_t after, bool all);

/*
 * After a call on the library: whether it is to be made again, because memory failed it. `may_fail` says whether the
 * header allows that. Nothing may have changed then.
 */
bool again(int64_t answer, bool may_fail);

/* The call needs more memory than there is here: it was refused and is not made on the naive model. */
bool gave_up(void);

/* ---- fuzz.c: operations, and what is told of them ---- */

enum { OWNER = 1, STRANGER = 2 };

/* How the next operation is made. Said by operations of their own. */
struct manner {
	uint64_t caller;
	bool unreadable; /* the request is NULL */
	bool no_buffer;  /* what the request points to is NULL */
};

/* What is fuzzed: slots, a table, a device. */
struct subject {
	const char *name;
	bool (*make)(void);    /* false: the configuration was refused */
	void (*operate)(void); /* one operation */
	void (*compare)(void); /* everything that can be seen */
	size_t (*count)(void); /* how large it is */
	void (*end)(void);
};

extern const struct subject slots_subject, table_subject, device_subject;
extern struct manner manner;
extern bool telling;
extern bool quiet; /* say nothing for a while */

uint64_t fuzz_caller(void *context);

/* What was said of the manner holds no longer. */
void usual_manner(void);

/* One operation more. What it is comes with `tell`. */
void count_operation(void);
bool enough_operations(void);

/* Compare everything now, and tell it. */
void compare_now(void);

/* Say something of the operation, if telling. */
#define TELL(...) ((void)(telling && tell(__VA_ARGS__)))
bool tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The library does otherwise. Does not return. */
_Noreturn void differ(const char *format, ...) __attribute__((format(printf, 1, 2)));

void same_answer(int64_t of_library, int64_t of_naive);
void same_number(const char *what, uint64_t of_library, uint64_t of_naive);
void same_segment(const char *what, const struct gpamap_segment *of_library, const struct gpamap_segment *of_naive);
void same_entries(const char *what, const struct gpamap_table *of_library, const struct gpamap_table *of_naive,
		  size_t room);
void same_entries_in(const char *what, const struct gpamap_table_view *of_library, const struct gpamap_table_view *of_naive,
		     uint64_t first, uint64_t last, size_t room);

/* A translation of a table or a device, on both. */
struct asked {
	uint64_t addr;
	uint64_t length;
	uint32_t access;
	size_t room;
};

#define MOST_SEGMENTS 1030

struct translation {
	int error;
	struct gpamap_reach reach;
	struct gpamap_segment segments[MOST_SEGMENTS + 1];
};

struct asked take_asked(void);

/* Make room for an answer: what lies behind it is as it was, afterwards. */
void room_for_answer(const struct asked *asked, struct translation *translation);
void same_translation(const struct asked *asked, const struct translation *of_library,
		      const struct translation *of_naive);

#endif
