/* SPDX-License-Identifier: Apache-2.0 */
/* Translation: a run of guest bytes as segments of host memory. */
#include "table.h"

/* Where a walk is: the entry that it came to, and the last of its place. */
struct step {
	size_t place;
	const struct entry *entry;
	const struct entry *last;
};

/* To a spot. False: it is past the end. */
static bool step_to(const struct index *index, struct spot spot, struct step *step)
{
	const struct entry *place;

	if (spot.place == index->count)
		return false;
	place = &index->places[spot.place];
	*step = (struct step){spot.place, &place->block->entries[spot.at], &place->block->entries[place->count - 1]};
	return true;
}

/* To the first entry that reaches the address, the byte after the last that this entry holds. */
static bool step_on(const struct index *index, uint64_t address, struct step *step)
{
	if (step->entry != step->last)
		step->entry++;
	else if (!step_to(index, (struct spot){step->place + 1, 0}, step))
		return false;
	return step->entry->reach >= address || step_to(index, index_seek(index, address), step);
}

/* The most frequent case: one entry holds all bytes. False: this is not it. */
static bool walk_once(const struct index *index, uint64_t addr, uint64_t length, uintptr_t denied,
		      struct gpamap_segment *segment, struct gpamap_reach *reach)
{
	const struct entry *entry = index_at(index, addr);

	if (!entry || entry->item & denied || length - 1 > entry->reach - addr)
		return false;
	*segment = (struct gpamap_segment){addr, addr + (length - 1), addr + entry->delta};
	*reach = (struct gpamap_reach){length, 1};
	return true;
}

/* Translate by an index. `refusal` is the error where an entry denies one of `denied`. */
int walk(const struct index *index, uint64_t addr, uint64_t length, uintptr_t denied, int refusal,
	 struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	uint64_t address = addr;
	uint64_t left = length;
	struct step step = {0};
	size_t count = 0;
	int error = 0;

	if (length && room && walk_once(index, addr, length, denied, segments, reach))
		return 0;
	while (left) {
		uint64_t last = address + (left - 1);

		error = count == room ? -ENOBUFS : -EFAULT;
		/* Address 0 comes after the last one, but for who began there. */
		if (count == room || (count && !address))
			break;
		if (!(count ? step_on(index, address, &step) : step_to(index, index_seek(index, addr), &step)))
			break;
		if (step.entry->start > address)
			break;
		error = refusal;
		if (step.entry->item & denied)
			break;
		error = 0;
		if (left - 1 > step.entry->reach - address)
			last = step.entry->reach;
		segments[count++] = (struct gpamap_segment){address, last, address + step.entry->delta};
		left -= last - address + 1;
		address = last + 1;
	}
	*reach = (struct gpamap_reach){length - left, count};
	return error;
}

/* Note that the entries of these segments were used, in this order. */
void table_walked(struct gpamap_table *table, const struct gpamap_segment *segments, size_t count)
{
	const struct index *index = table_index(table);
	size_t i;

	if (table->retirement != GPAMAP_LRU || table->begun)
		return;
	for (i = 0; i < count; i++)
		table_use(table, mapping_of(spot_entry(index, index_seek(index, segments[i].first))));
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
