/* SPDX-License-Identifier: Apache-2.0 */
/* What the test programs share: a check that ends the program, and a map that is ready to use. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gpamap.h"

#define CHECK(holds)                                                                                                   \
	do {                                                                                                           \
		if (!(holds)) {                                                                                        \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #holds);                     \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

#define PAGE ((uint64_t)GPAMAP_PAGE_SIZE)

static inline struct gpamap_config test_config(void)
{
	return (struct gpamap_config){
		.user_slots = 509,
		.address_spaces = 2,
		.user_limit = ((uint64_t)1 << 47) - PAGE,
		.last_gfn = GPAMAP_NO_LAST_GFN,
		.dirty_ring = 1,
	};
}

static inline int set(struct gpamap *map, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, uint64_t hva)
{
	struct gpamap_region region = {.slot = slot, .flags = flags, .gpa = gpa, .size = size, .hva = hva};

	return gpamap_set_region(map, 1, &region);
}

#endif
