/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over several ranges. */
#ifndef GPAMAP_TRANSLATE_H
#define GPAMAP_TRANSLATE_H

#include "index.h"

int walk(const struct index *index, uint64_t addr, uint64_t length, uintptr_t denied, int refusal,
	 struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach);

#endif
