/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all harnesses share. They are read by CBMC alone: to it, a function called nondet_... gives any value.
 *
 * A harness takes any values, assumes what callers must see to, calls the library, and claims what the definition says.
 * Each WITNESS is a situation that must be possible under the assumptions: if one is not, what was proved is empty, and
 * the harness fails.
 */
#ifndef GPAMAP_VERIFY_H
#define GPAMAP_VERIFY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exact numbers: sums and differences of 64-bit values never wrap in this type. */
typedef __int128 wide;

#define TWO_TO_64 ((wide)1 << 64)

#define CLAIM(condition, sentence) __CPROVER_assert(condition, "claim: " sentence)
#define ASSUME(condition) __CPROVER_assume(condition)

#ifdef PLANTED /* a bug was planted: only what it breaks is looked for */
#define WITNESS(condition, sentence) ((void)0)
#else
#define WITNESS(condition, sentence) __CPROVER_assert(!(condition), "witness: " sentence)
#endif

bool nondet_bool(void);
uint8_t nondet_u8(void);
uint16_t nondet_u16(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
size_t nondet_size(void);

/* Any number below a limit that is not 0. */
static inline size_t any_below(size_t limit)
{
	size_t number = nondet_size();

	ASSUME(number < limit);
	return number;
}

#endif
