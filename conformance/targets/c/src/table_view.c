/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a table: by its readers, and by who changes it. */
#include "table.h"

int gpamap_table_reader_create(struct gpamap_table *table, struct gpamap_reader **reader)
{
	return gate_admit(&table->gate, &table->pool.memory, reader);
}

void gpamap_table_reader_destroy(struct gpamap_table *table, struct gpamap_reader *reader)
{
	gate_dismiss(&table->gate, &table->pool.memory, reader);
}

const struct gpamap_table_view *gpamap_table_enter(struct gpamap_reader *reader)
{
	return gate_enter(reader);
}

static bool is_access(uint32_t access)
{
	return access == GPAMAP_READ || access == GPAMAP_WRITE;
}

int gpamap_table_lookup(const struct gpamap_table_view *view, uint64_t addr, uint32_t access,
			struct gpamap_segment *found)
{
	const struct entry *entry = index_at(&view->index, addr);

	if (!is_access(access))
		return -EINVAL;
	if (!entry)
		return -EFAULT;
	if (entry->item & access)
		return -EPERM;
	*found = (struct gpamap_segment){addr, entry->reach, addr + entry->delta};
	return 0;
}

/* The byte from which on the entry at a spot counts: those before it may reach into it. */
static uint64_t counts_from(const struct index *index, struct spot spot)
{
	const struct entry *entry = spot_entry(index, spot);
	uint64_t from = entry->start;

	if (spot.place && index->places[spot.place - 1].reach >= from)
		from = index->places[spot.place - 1].reach + 1;
	if (spot.at && entry[-1].reach >= from)
		from = entry[-1].reach + 1;
	return from;
}

int gpamap_table_lookup_again(struct gpamap_reader *reader, const struct gpamap_table_view *view, uint64_t addr,
			      uint32_t access, struct gpamap_segment *found)
{
	struct hit *hit = &reader->hit;

	if (!is_access(access))
		return -EINVAL;
	if (addr - hit->start > hit->span || hit->version != view->version) {
		struct spot spot = index_seek(&view->index, addr);
		const struct entry *entry = index_entry(&view->index, spot);
		uint64_t from;

		if (!entry || entry->start > addr)
			return -EFAULT;
		from = counts_from(&view->index, spot);
		*hit = (struct hit){view->version, from, entry->reach - from, entry->delta, entry->item, 0};
	}
	if (hit->item & access)
		return -EPERM;
	*found = (struct gpamap_segment){addr, hit->start + hit->span, addr + hit->delta};
	return 0;
}

int gpamap_table_segments(const struct gpamap_table_view *view, uint64_t addr, uint64_t length, uint32_t access,
			  struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	if (!is_access(access))
		return -EINVAL;
	return walk(&view->index, addr, length, access, -EPERM, segments, room, reach);
}

/* ---- Lists ---- */

static struct gpamap_entry described(const struct mapping *mapping)
{
	return (struct gpamap_entry){mapping->first, mapping_last(mapping), mapping->host, mapping->perm};
}

size_t gpamap_table_range(const struct gpamap_table_view *view, uint64_t first, uint64_t last,
			  struct gpamap_entry *entries, size_t room)
{
	const struct index *index = &view->index;
	struct spot spot = index_seek(index, first);
	const struct entry *entry;
	size_t count = 0;

	if (last < first)
		return 0;
	for (; (entry = index_entry(index, spot)) && entry->start <= last; spot = index_next(index, spot)) {
		if (mapping_last(mapping_of(entry)) < first)
			continue;
		if (count < room)
			entries[count] = described(mapping_of(entry));
		count++;
	}
	return count;
}

size_t gpamap_table_entries(const struct gpamap_table *table, struct gpamap_entry *entries, size_t room)
{
	const struct index *index = table_index(table);
	struct spot spot = {0, 0};
	size_t i;

	for (i = 0; i < index->entries && i < room; i++, spot = index_next(index, spot))
		entries[i] = described(mapping_of(spot_entry(index, spot)));
	return index->entries;
}
