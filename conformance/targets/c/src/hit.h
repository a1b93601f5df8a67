/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GPAMAP_HIT_H
#define GPAMAP_HIT_H

#include <stdint.h>

/* What a reader found last, for gpamap_lookup_again and gpamap_table_lookup_again. */
struct hit {
	uint64_t version; /* of the view; 0: nothing yet */
	uint64_t start;
	uint64_t span;
	uint64_t delta;
	uintptr_t item;
	uint32_t space;
};

#endif
