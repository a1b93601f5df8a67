/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the player share. A request is a line: its name, and numbers. Its answer is a line of numbers.
 *
 * All numbers have 64 bits on the way. One that does not fit the field that it is for ends the program: a 32-bit program is
 * not to be asked for something else than a 64-bit one.
 */
#ifndef PLAYER_H
#define PLAYER_H

#include <inttypes.h>

#include "check.h"
#include "gpamap_vhost.h"

struct line {
	uint64_t *numbers;
	size_t count;
	size_t taken;
};

struct request {
	const char *name;
	void (*answer)(struct line *line);
};

extern const struct request map_requests[];    /* up to one without name */
extern const struct request device_requests[]; /* likewise */

/* The caller of the library's functions, as the last request `caller` says. */
uint64_t who_calls(void *context);

static inline uint64_t take(struct line *line)
{
	CHECK(line->taken < line->count);
	return line->numbers[line->taken++];
}

static inline uint32_t take_u32(struct line *line)
{
	uint64_t number = take(line);

	CHECK(number <= UINT32_MAX);
	return (uint32_t)number;
}

static inline size_t take_size(struct line *line)
{
	uint64_t number = take(line);

	CHECK(number <= SIZE_MAX);
	return (size_t)number;
}

static inline int take_bool(struct line *line)
{
	uint64_t number = take(line);

	CHECK(number <= 1);
	return (int)number;
}

static inline size_t left(const struct line *line)
{
	return line->count - line->taken;
}

static inline void say(uint64_t number)
{
	printf(" %" PRIu64, number);
}

static inline void say_error(int error)
{
	printf(" %d", error);
}

/* Never NULL, and all 0. */
static inline void *room_for(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	CHECK(memory);
	return memory;
}

#endif
