/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H
#include <stdint.h>
#include <time.h>

static inline uint64_t clock_in_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* The processor time of this thread: what other processes take of the machine does not count. */
static inline uint64_t now(void)
{
	return clock_in_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* What a thread does beside another takes time for both. */
static inline uint64_t now_for_all(void)
{
	return clock_in_ns(CLOCK_MONOTONIC);
}
#endif
