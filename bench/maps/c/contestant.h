/* SPDX-License-Identifier: Apache-2.0 */
/* The last lines of a contestant: CONTESTANT(changes, read_until) after `create_map`, `destroy_map` and `bytes_of`. */
#ifndef BENCH_CONTESTANT_H
#define BENCH_CONTESTANT_H
#include "loops.h"

static const char *cannot; /* a contestant may say why */

static const char *why_not(void)
{
	return cannot ? cannot : "";
}

#define CHANGES loop_insert, loop_remove, loop_move
#define NO_CHANGES NULL, NULL, NULL
#define NO_READER NULL

/* The changes are three arguments once they are expanded. */
#define CONTESTANT(...) CONTESTANT_(__VA_ARGS__)
#define CONTESTANT_(insert_, remove_, move_, reader_)                                                          \
	__attribute__((visibility("default"))) const struct contestant *contestant(void)     \
	{                                                                                                      \
		static const struct contestant made = {                                                        \
			create_map, destroy_map, why_not,	 bytes_of, loop_throughput, loop_latency, loop_translate, \
			loop_answer, insert_, remove_, move_, reader_};                                        \
		return &made;                                                                                  \
	}

#endif
