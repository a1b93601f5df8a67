/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: entries added, taken out, replaced, given up. */
#include "table.h"

/* ---- The queue in which mappings are given up ---- */

static void enqueue(struct gpamap_table *table, struct mapping *mapping)
{
	mapping->sooner = table->last_out;
	mapping->later = NULL;
	if (table->last_out)
		table->last_out->later = mapping;
	else
		table->next_out = mapping;
	table->last_out = mapping;
}

static void dequeue(struct gpamap_table *table, struct mapping *mapping)
{
	if (mapping->sooner)
		mapping->sooner->later = mapping->later;
	else
		table->next_out = mapping->later;
	if (mapping->later)
		mapping->later->sooner = mapping->sooner;
	else
		table->last_out = mapping->sooner;
}

/* The mapping was used: it is the last to be given up. */
void table_use(struct gpamap_table *table, struct mapping *mapping)
{
	dequeue(table, mapping);
	enqueue(table, mapping);
}

/* ---- Mappings ---- */

static void forget(struct gpamap_table *table, struct mapping *mapping)
{
	memory_give(&table->memory, mapping, sizeof(*mapping));
}

/* Put a mapping in, the youngest. Room was reserved. */
static void put(struct gpamap_table *table, struct mapping *mapping)
{
	struct entry entry = {.start = mapping->first, .last = mapping->last, .mapping = mapping};

	mapping->age = table->added++;
	entry.rank = mapping->age;
	index_insert(&table->memory, &table->index, entry);
	enqueue(table, mapping);
}

/* Take a mapping out; it is not freed. */
static void pull(struct gpamap_table *table, struct mapping *mapping)
{
	index_remove(&table->index, mapping->first, mapping->age);
	dequeue(table, mapping);
}

/* Mappings for one or more entries, chained by `later`, and room for so many in the index. */
int table_take(struct gpamap_table *table, size_t count, struct mapping **taken)
{
	struct mapping *chain = NULL;

	if (index_reserve(&table->memory, &table->index, count))
		return -ENOMEM;
	while (count--) {
		struct mapping *mapping = memory_take(&table->memory, sizeof(*mapping));

		if (!mapping) {
			while (chain) {
				struct mapping *later = chain->later;

				forget(table, chain);
				chain = later;
			}
			return -ENOMEM;
		}
		mapping->later = chain;
		chain = mapping;
	}
	*taken = chain;
	return 0;
}

/* Replace what is there by mappings that were taken, in the order of the chain. */
void table_fill(struct gpamap_table *table, struct mapping *taken)
{
	table_clear(table);
	while (taken) {
		struct mapping *later = taken->later;

		put(table, taken);
		taken = later;
	}
}

/* ---- Making and freeing ---- */

static bool is_bad(const struct gpamap_table_config *config)
{
	if (config->retirement > GPAMAP_LRU)
		return true;
	return config->retirement != GPAMAP_REFUSE && config->limit < 1;
}

/* The table's memory is all 0. */
void table_init(struct gpamap_table *table, const struct memory *memory, size_t limit, uint32_t retirement)
{
	table->memory = *memory;
	table->limit = limit;
	table->retirement = retirement;
}

/* Take everything out. */
void table_clear(struct gpamap_table *table)
{
	while (table->next_out) {
		struct mapping *mapping = table->next_out;

		table->next_out = mapping->later;
		forget(table, mapping);
	}
	table->last_out = NULL;
	index_cut(&table->index, 0, 0);
}

/* Free all that a table has. */
void table_drop(struct gpamap_table *table)
{
	table_clear(table);
	index_drop(&table->memory, &table->index);
}

int gpamap_table_create(const struct gpamap_table_config *config, struct gpamap_table **table)
{
	struct memory memory = {config->zalloc, config->release, config->context};
	struct gpamap_table *new;

	if (is_bad(config) || memory_is_bad(&memory))
		return -EINVAL;
	memory = memory_or_libc(memory);
	new = memory_take(&memory, sizeof(*new));
	if (!new)
		return -ENOMEM;
	table_init(new, &memory, config->limit, config->retirement);
	*table = new;
	return 0;
}

void gpamap_table_destroy(struct gpamap_table *table)
{
	struct memory memory;

	if (!table)
		return;
	memory = table->memory;
	table_drop(table);
	memory_give(&memory, table, sizeof(*table));
}

/* ---- Changing ---- */

static bool is_no_entry(const struct gpamap_entry *entry)
{
	return entry->last < entry->first || entry->perm & ~(uint32_t)(GPAMAP_READ | GPAMAP_WRITE);
}

static void describe(struct mapping *mapping, const struct gpamap_entry *entry)
{
	mapping->first = entry->first;
	mapping->last = entry->last;
	mapping->host = entry->host;
	mapping->perm = entry->perm;
}

int gpamap_table_add(struct gpamap_table *table, const struct gpamap_entry *entry)
{
	struct mapping *mapping;

	if (is_no_entry(entry))
		return -EINVAL;
	if (table->index.count < table->limit) {
		if (index_reserve(&table->memory, &table->index, table->index.count + 1))
			return -ENOMEM;
		mapping = memory_take(&table->memory, sizeof(*mapping));
		if (!mapping)
			return -ENOMEM;
	} else if (table->retirement == GPAMAP_REFUSE) {
		return -ENOSPC;
	} else {
		mapping = table->next_out;
		pull(table, mapping);
	}
	describe(mapping, entry);
	put(table, mapping);
	return 0;
}

int gpamap_table_remove(struct gpamap_table *table, uint64_t first, uint64_t last, uint64_t host)
{
	const struct index *index = &table->index;
	size_t at;

	for (at = index_place(index, first, 0); at < index->count; at++) {
		struct mapping *mapping = index->entries[at].mapping;

		if (mapping->first != first)
			break;
		if (mapping->last != last || mapping->host != host)
			continue;
		pull(table, mapping);
		forget(table, mapping);
		return 0;
	}
	return -ENOENT;
}

int gpamap_table_remove_range(struct gpamap_table *table, uint64_t first, uint64_t last)
{
	struct index *index = &table->index;
	size_t from, stays, at;

	if (last < first)
		return -EINVAL;
	from = index_seek(index, first);
	stays = from;
	for (at = from; at < index->count; at++) {
		struct mapping *mapping = index->entries[at].mapping;

		if (mapping->first <= last && mapping->last >= first) {
			dequeue(table, mapping);
			forget(table, mapping);
		} else {
			index->entries[stays++] = index->entries[at];
		}
	}
	index_cut(index, stays, from);
	return 0;
}

int gpamap_table_replace(struct gpamap_table *table, const struct gpamap_entry *entries, size_t count)
{
	struct mapping *taken, *mapping;
	size_t i;

	for (i = 0; i < count; i++)
		if (is_no_entry(&entries[i]))
			return -EINVAL;
	if (count > table->limit)
		return -ENOSPC;
	if (table_take(table, count, &taken))
		return -ENOMEM;
	for (i = 0, mapping = taken; i < count; i++, mapping = mapping->later)
		describe(mapping, &entries[i]);
	table_fill(table, taken);
	return 0;
}

size_t gpamap_table_entries(const struct gpamap_table *table, struct gpamap_entry *entries, size_t room)
{
	const struct index *index = &table->index;
	size_t i;

	for (i = 0; i < index->count && i < room; i++) {
		const struct mapping *mapping = index->entries[i].mapping;

		entries[i] = (struct gpamap_entry){mapping->first, mapping->last, mapping->host, mapping->perm};
	}
	return index->count;
}
