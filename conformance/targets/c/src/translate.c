/* SPDX-License-Identifier: Apache-2.0 */
/* Translation: a run of guest bytes as segments of host memory. */
#include "table.h"

static struct mapping *mapping_at(const struct gpamap_table *table, uint64_t address)
{
	const struct entry *entry = index_at(&table->index, address);

	return entry ? entry->mapping : NULL;
}

/* Translate, and leave the table as it is. */
int table_walk(const struct gpamap_table *table, uint64_t addr, uint64_t length, uint32_t access,
	       struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	*reach = (struct gpamap_reach){0, 0};
	while (reach->bytes < length) {
		uint64_t address = addr + reach->bytes;
		uint64_t left = length - reach->bytes;
		const struct mapping *mapping;

		if (reach->segments == room)
			return -ENOBUFS;
		if (address < addr) /* past the last one */
			return -EFAULT;
		mapping = mapping_at(table, address);
		if (!mapping)
			return -EFAULT;
		if (!(mapping->perm & access))
			return -EPERM;
		if (left - 1 > mapping->last - address)
			left = mapping->last - address + 1;
		segments[reach->segments++] = (struct gpamap_segment){
			.first = address,
			.last = address + (left - 1),
			.host = mapping->host + (address - mapping->first),
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
		table_use(table, mapping_at(table, segments[i].first));
}

int gpamap_table_translate(struct gpamap_table *table, uint64_t addr, uint64_t length, uint32_t access,
			   struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	int error;

	if (access != GPAMAP_READ && access != GPAMAP_WRITE)
		return -EINVAL;
	error = table_walk(table, addr, length, access, segments, room, reach);
	table_walked(table, segments, reach->segments);
	return error;
}
