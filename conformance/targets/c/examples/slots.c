/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual machine's memory slots: make a map, set a slot, look an address up. */
#include <stdio.h>

#include <gpamap.h>

int main(void)
{
	struct gpamap_config config = {
		.user_slots = 509,
		.address_spaces = 1,
		.user_limit = 0x7ffffffff000,
		.last_gfn = GPAMAP_NO_LAST_GFN,
	};
	struct gpamap_region ram = {.slot = 0, .gpa = 0x100000, .size = 0x8000, .hva = 0x7f0000000000};
	struct gpamap_segment found;
	struct gpamap_reader *reader;
	struct gpamap *map;

	if (gpamap_create(&config, &map) || gpamap_reader_create(map, &reader) || gpamap_set_region(map, 1, &ram))
		return 1;
	if (gpamap_lookup(gpamap_enter(reader), 0, 0x101234, 1, &found) == 0)
		printf("0x%llx, contiguous up to guest byte 0x%llx\n", (unsigned long long)found.host,
		       (unsigned long long)found.last);
	gpamap_leave(reader);
	gpamap_destroy(map);
	return 0;
}
