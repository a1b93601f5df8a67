/* SPDX-License-Identifier: Apache-2.0 */
/* The edit of a block's entries, with what works reaches out anew called, not put into it: each is looked at apart. */
#include "index.h"

#ifdef __clang__
#define CALLED __attribute__((noinline))
#else
#define CALLED __attribute__((noipa))
#endif

CALLED void reach_anew(struct entry *entries, size_t from, size_t count, uint64_t stale, uint64_t reach);

#include "edit.c"
