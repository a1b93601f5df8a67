/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on a map, one on a line of the input, and what the library calls in them: the address of each function that is entered.
 *
 *     set WORD GPA HVA   delete WORD   begin   commit   abort   trace
 *
 * Nothing is said before `trace`. The library is compiled with -finstrument-functions, this file is not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpamap.h"

void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

static int traces;

void __cyg_profile_func_enter(void *function, void *caller)
{
	(void)caller;
	if (traces)
		printf("%p\n", function);
}

void __cyg_profile_func_exit(void *function, void *caller)
{
	(void)function;
	(void)caller;
}

int main(void)
{
	struct gpamap_config config = {.user_slots = 509, .address_spaces = 2, .user_limit = 0x7ffffffff000,
				       .last_gfn = GPAMAP_NO_LAST_GFN, .largest_block = 1};
	struct gpamap *map;
	struct gpamap_reader *reader;
	char call[16];

	if (gpamap_create(&config, &map) || gpamap_reader_create(map, &reader))
		return 2;
	while (scanf("%15s", call) == 1) {
		struct gpamap_region region = {.slot = 0};
		unsigned long long gpa = 0, hva = 0;
		int error = 0;

		if (!strcmp(call, "trace")) {
			traces = 1;
		} else if (!strcmp(call, "begin")) {
			error = gpamap_begin(map);
		} else if (!strcmp(call, "commit")) {
			error = gpamap_commit(map);
		} else if (!strcmp(call, "abort")) {
			error = gpamap_abort(map);
		} else {
			int is_set = !strcmp(call, "set");

			if (scanf("%u", &region.slot) != 1 || (is_set && scanf("%llx %llx", &gpa, &hva) != 2))
				return 2;
			region.gpa = gpa;
			region.hva = hva;
			region.size = is_set ? GPAMAP_PAGE_SIZE : 0;
			error = gpamap_set_region(map, 1, &region);
		}
		if (error) {
			fprintf(stderr, "%s: %d\n", call, error);
			return 1;
		}
	}
	traces = 0;
	gpamap_destroy(map);
	return 0;
}
