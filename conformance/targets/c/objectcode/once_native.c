/* SPDX-License-Identifier: Apache-2.0 */
/* The search of a map in which one entry, or none, holds the address. */
#include <stdint.h>

const void *once_entry;

const void *index_at(const void *index, uint64_t address)
{
	(void)index;
	(void)address;
	return once_entry;
}
