/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of a map or of a table: it knows which. */
#ifndef NAIVE_READER_H
#define NAIVE_READER_H

#include "gpamap_vhost.h"

struct gpamap_reader {
	struct gpamap *map;
	struct gpamap_table *table;
	struct gpamap_reader *next;
};

#endif
