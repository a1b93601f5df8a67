/* SPDX-License-Identifier: Apache-2.0 */
/* Translation: a run of guest bytes as segments of host memory. */
#include "table.h"

/* The first entry that reaches the address, the byte after the last that the entry at `spot` holds. */
static struct spot seek_on(const struct index *index, struct spot spot, uint64_t address)
{
	const struct entry *entry;

	spot = index_next(index, spot);
	entry = index_entry(index, spot);
	return entry && entry->reach < address ? index_seek(index, address) : spot;
}

/* Translate by an index. `refusal` is the error where an entry denies one of `denied`. */
int walk(const struct index *index, uint64_t addr, uint64_t length, uintptr_t denied, int refusal,
	 struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	struct spot spot = {0, 0};

	*reach = (struct gpamap_reach){0, 0};
	while (reach->bytes < length) {
		uint64_t address = addr + reach->bytes;
		uint64_t left = length - reach->bytes;
		const struct entry *entry;

		if (reach->segments == room)
			return -ENOBUFS;
		if (address < addr) /* past the last one */
			return -EFAULT;
		spot = reach->bytes ? seek_on(index, spot, address) : index_seek(index, address);
		entry = index_entry(index, spot);
		if (!entry || entry->start > address)
			return -EFAULT;
		if (entry->item & denied)
			return refusal;
		if (left - 1 > entry->reach - address)
			left = entry->reach - address + 1;
		segments[reach->segments++] = (struct gpamap_segment){
			.first = address,
			.last = address + (left - 1),
			.host = address + entry->delta,
		};
		reach->bytes += left;
	}
	return 0;
}

/* Note that the entries of these segments were used, in this order. */
void table_walked(struct gpamap_table *table, const struct gpamap_segment *segments, size_t count)
{
	size_t i;

	if (table->retirement != GPAMAP_LRU)
		return;
	for (i = 0; i < count; i++)
		table_use(table, mapping_of(index_at(table_index(table), segments[i].first)));
}

int gpamap_table_translate(struct gpamap_table *table, uint64_t addr, uint64_t length, uint32_t access,
			   struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	int error;

	if (access != GPAMAP_READ && access != GPAMAP_WRITE)
		return -EINVAL;
	error = walk(table_index(table), addr, length, access, -EPERM, segments, room, reach);
	table_walked(table, segments, reach->segments);
	return error;
}
