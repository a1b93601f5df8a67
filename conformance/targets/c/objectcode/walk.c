/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over several segments with all that it calls called, not put into it: so that a proof can say what that promises. */
#define index_at library_index_at
#define index_seek library_index_seek
#include "index.h"
#undef index_at
#undef index_seek

#ifdef __clang__
#define CALLED __attribute__((noinline))
#else
#define CALLED __attribute__((noipa))
#endif

struct step;

const struct entry *index_at(const struct index *index, uint64_t address);
struct spot index_seek(const struct index *index, uint64_t address);
CALLED bool step_to(const struct index *index, struct spot spot, struct step *step);
CALLED bool step_on(const struct index *index, uint64_t address, struct step *step);
CALLED bool walk_once(const struct index *index, uint64_t addr, uint64_t length, uintptr_t denied,
		      struct gpamap_segment *segment, struct gpamap_reach *reach);

#include "translate.c"
