/* SPDX-License-Identifier: Apache-2.0 */
/* What gpamap_vhost.h says of tables: one array of entries in no order, all of which are looked at for every question. */
#include <errno.h>
#include <stdbool.h>

#include "memory.h"
#include "reader.h"

struct entry {
	struct gpamap_entry is;
	uint64_t born; /* when it was added, on the table's clock */
	uint64_t used; /* when it was added or, in a table that is GPAMAP_LRU, used */
};

struct gpamap_table {
	size_t limit;
	uint32_t retirement;
	uint64_t clock;
	struct entry *entries;
	size_t count;
	size_t room;
	struct gpamap_reader *readers;
	struct gpamap_table *before; /* in a transaction: the table as everybody sees it; else NULL */
};

int gpamap_table_create(const struct gpamap_table_config *config, struct gpamap_table **table)
{
	if (config->retirement > GPAMAP_LRU || (config->retirement != GPAMAP_REFUSE && !config->limit))
		return -EINVAL;
	if (!config->zalloc != !config->release || config->largest_block > GPAMAP_LARGEST_BLOCK)
		return -EINVAL;
	*table = some_memory(sizeof(**table));
	(*table)->limit = config->limit;
	(*table)->retirement = config->retirement;
	return 0;
}

void gpamap_table_destroy(struct gpamap_table *table)
{
	if (!table)
		return;
	if (table->before)
		(void)gpamap_table_abort(table);
	while (table->readers)
		gpamap_table_reader_destroy(table, table->readers);
	free(table->entries);
	free(table);
}

static void take_out(struct gpamap_table *table, size_t at)
{
	table->entries[at] = table->entries[--table->count];
}

/* The place of the entry that is given up next. */
static size_t next_out(const struct gpamap_table *table)
{
	size_t least = 0, i;

	for (i = 1; i < table->count; i++)
		if (table->entries[i].used < table->entries[least].used)
			least = i;
	return least;
}

static void put_in(struct gpamap_table *table, const struct gpamap_entry *entry)
{
	table->entries = array_for(table->entries, &table->room, table->count + 1, sizeof(*table->entries));
	table->entries[table->count++] = (struct entry){*entry, table->clock, table->clock};
	table->clock++;
}

static bool is_no_entry(const struct gpamap_entry *entry)
{
	return entry->last < entry->first || entry->perm > (GPAMAP_READ | GPAMAP_WRITE);
}

int gpamap_table_add(struct gpamap_table *table, const struct gpamap_entry *entry)
{
	if (is_no_entry(entry))
		return -EINVAL;
	if (table->count >= table->limit) {
		if (table->retirement == GPAMAP_REFUSE)
			return -ENOSPC;
		take_out(table, next_out(table));
	}
	put_in(table, entry);
	return 0;
}

int gpamap_table_remove(struct gpamap_table *table, uint64_t first, uint64_t last, uint64_t host)
{
	size_t found = table->count, i;

	for (i = 0; i < table->count; i++) {
		const struct entry *entry = &table->entries[i];

		if (entry->is.first == first && entry->is.last == last && entry->is.host == host &&
		    (found == table->count || entry->born < table->entries[found].born))
			found = i;
	}
	if (found == table->count)
		return -ENOENT;
	take_out(table, found);
	return 0;
}

int gpamap_table_remove_range(struct gpamap_table *table, uint64_t first, uint64_t last)
{
	size_t i, stay = 0;

	if (last < first)
		return -EINVAL;
	for (i = 0; i < table->count; i++)
		if (table->entries[i].is.last < first || last < table->entries[i].is.first)
			table->entries[stay++] = table->entries[i];
	table->count = stay;
	return 0;
}

int gpamap_table_replace(struct gpamap_table *table, const struct gpamap_entry *entries, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (is_no_entry(&entries[i]))
			return -EINVAL;
	if (count > table->limit)
		return -ENOSPC;
	if (table->before)
		return -EBUSY;
	table->count = 0;
	for (i = 0; i < count; i++)
		put_in(table, &entries[i]);
	return 0;
}

/* ---- Transactions ---- */

static void copy_entries(struct gpamap_table *table, const struct gpamap_table *model)
{
	size_t i;

	table->entries = array_for(table->entries, &table->room, model->count, sizeof(*table->entries));
	for (i = 0; i < model->count; i++)
		table->entries[i] = model->entries[i];
	table->count = model->count;
}

int gpamap_table_begin(struct gpamap_table *table)
{
	if (table->before)
		return -EBUSY;
	table->before = some_memory(sizeof(*table->before));
	copy_entries(table->before, table);
	return 0;
}

int gpamap_table_commit(struct gpamap_table *table)
{
	if (!table->before)
		return -EINVAL;
	free(table->before->entries);
	free(table->before);
	table->before = NULL;
	return 0;
}

int gpamap_table_abort(struct gpamap_table *table)
{
	if (!table->before)
		return -EINVAL;
	copy_entries(table, table->before);
	return gpamap_table_commit(table);
}

static const struct gpamap_table *seen(const struct gpamap_table *table)
{
	return table->before ? table->before : table;
}

/* ---- Looking ---- */

/* The order in which entries count: by first byte, then by age. */
static int by_rank(const void *left, const void *right)
{
	const struct entry *one = left, *other = right;

	if (one->is.first != other->is.first)
		return one->is.first < other->is.first ? -1 : 1;
	return one->born < other->born ? -1 : one->born > other->born;
}

/* The entries that have a byte in first .. last. */
static size_t in_range(const struct gpamap_table *table, uint64_t first, uint64_t last, struct gpamap_entry *entries,
		       size_t room)
{
	struct entry *sorted = some_memory((table->count + 1) * sizeof(*sorted));
	size_t count = 0, i;

	for (i = 0; i < table->count; i++)
		if (table->entries[i].is.first <= last && first <= table->entries[i].is.last)
			sorted[count++] = table->entries[i];
	qsort(sorted, count, sizeof(*sorted), by_rank);
	for (i = 0; i < count && i < room; i++)
		entries[i] = sorted[i].is;
	free(sorted);
	return count;
}

size_t gpamap_table_entries(const struct gpamap_table *table, struct gpamap_entry *entries, size_t room)
{
	table = seen(table);
	return room ? in_range(table, 0, UINT64_MAX, entries, room) : table->count;
}

/* Of the entries that hold a byte the one that counts. NULL: there is none. */
static struct entry *entry_at(const struct gpamap_table *table, uint64_t address)
{
	struct entry *found = NULL;
	size_t i;

	for (i = 0; i < table->count; i++) {
		struct entry *entry = &table->entries[i];

		if (entry->is.first <= address && address <= entry->is.last && (!found || by_rank(entry, found) < 0))
			found = entry;
	}
	return found;
}

static int translate(const struct gpamap_table *table, uint64_t addr, uint64_t length, uint32_t access,
		     struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	if (access != GPAMAP_READ && access != GPAMAP_WRITE)
		return -EINVAL;
	*reach = (struct gpamap_reach){0, 0};
	while (reach->bytes < length) {
		uint64_t address = addr + reach->bytes;
		uint64_t size = length - reach->bytes;
		const struct entry *entry;

		if (reach->segments == room)
			return -ENOBUFS;
		if (address < addr)
			return -EFAULT;
		entry = entry_at(table, address);
		if (!entry)
			return -EFAULT;
		if (!(entry->is.perm & access))
			return -EPERM;
		if (entry->is.last - address < size - 1)
			size = entry->is.last - address + 1;
		segments[reach->segments++] = (struct gpamap_segment){
			address, address + (size - 1), entry->is.host + (address - entry->is.first)};
		reach->bytes += size;
	}
	return 0;
}

int gpamap_table_translate(struct gpamap_table *table, uint64_t addr, uint64_t length, uint32_t access,
			   struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	int error = translate(seen(table), addr, length, access, segments, room, reach);
	bool uses = !table->before && table->retirement == GPAMAP_LRU && error != -EINVAL;
	size_t i;

	for (i = 0; uses && i < reach->segments; i++)
		entry_at(table, segments[i].first)->used = table->clock++;
	return error;
}

/* ---- Readers: a view is the table, as it is seen ---- */

static const struct gpamap_table *seen_by(const struct gpamap_table_view *view)
{
	return seen((const struct gpamap_table *)view);
}

int gpamap_table_reader_create(struct gpamap_table *table, struct gpamap_reader **reader)
{
	*reader = some_memory(sizeof(**reader));
	(*reader)->table = table;
	(*reader)->next = table->readers;
	table->readers = *reader;
	return 0;
}

void gpamap_table_reader_destroy(struct gpamap_table *table, struct gpamap_reader *reader)
{
	struct gpamap_reader **link = &table->readers;

	if (!reader)
		return;
	while (*link != reader)
		link = &(*link)->next;
	*link = reader->next;
	free(reader);
}

const struct gpamap_table_view *gpamap_table_enter(struct gpamap_reader *reader)
{
	return (const struct gpamap_table_view *)reader->table;
}

int gpamap_table_lookup(const struct gpamap_table_view *view, uint64_t addr, uint32_t access,
			struct gpamap_segment *found)
{
	const struct entry *entry;

	if (access != GPAMAP_READ && access != GPAMAP_WRITE)
		return -EINVAL;
	entry = entry_at(seen_by(view), addr);
	if (!entry)
		return -EFAULT;
	if (!(entry->is.perm & access))
		return -EPERM;
	*found = (struct gpamap_segment){addr, entry->is.last, entry->is.host + (addr - entry->is.first)};
	return 0;
}

int gpamap_table_segments(const struct gpamap_table_view *view, uint64_t addr, uint64_t length, uint32_t access,
			  struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	return translate(seen_by(view), addr, length, access, segments, room, reach);
}

int gpamap_table_lookup_again(struct gpamap_reader *reader, const struct gpamap_table_view *view, uint64_t addr,
			      uint32_t access, struct gpamap_segment *found)
{
	(void)reader;
	return gpamap_table_lookup(view, addr, access, found);
}

size_t gpamap_table_range(const struct gpamap_table_view *view, uint64_t first, uint64_t last,
			  struct gpamap_entry *entries, size_t room)
{
	return first <= last ? in_range(seen_by(view), first, last, entries, room) : 0;
}
