/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: entries added, taken out, replaced, given up. */
#include "table.h"

_Static_assert(DENIES_WRITE == GPAMAP_WRITE && DENIES == (GPAMAP_READ | GPAMAP_WRITE), "see struct entry");

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

/* Out of the queue; the mapping still knows which one it was behind. */
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

/* Back to where it was, if all that went after it are back, and all that came after it are gone. */
static void enqueue_again(struct gpamap_table *table, struct mapping *mapping)
{
	struct mapping **link = mapping->sooner ? &mapping->sooner->later : &table->next_out;

	mapping->later = *link;
	*link = mapping;
	if (mapping->later)
		mapping->later->sooner = mapping;
	else
		table->last_out = mapping;
}

/* The mapping was used: it is the last to be given up. */
void table_use(struct gpamap_table *table, struct mapping *mapping)
{
	dequeue(table, mapping);
	enqueue(table, mapping);
}

/* ---- Publishing ---- */

static struct index *private_index(struct gpamap_table *table)
{
	return &table->views[published_table(table) == &table->views[0]].index;
}

static void free_chain(struct gpamap_table *table, struct mapping *chain)
{
	while (chain) {
		struct mapping *next = chain->next;

		memory_give(&table->pool.memory, chain, sizeof(*chain));
		chain = next;
	}
}

/* Make all changes seen, and make them in the other view. */
static void table_publish_once(struct gpamap_table *table)
{
	struct gpamap_table_view *view = &table->views[published_table(table) == &table->views[0]];
	struct gpamap_table_view *other = published_table(table);

	index_seal(&table->pool, &view->index, &other->index);
	view->version = other->version + 1;
	gate_publish(&table->gate, view);
	index_follow(&table->pool, &other->index, &view->index);
	pool_free_retired(&table->pool);
	free_chain(table, table->went);
	table->went = NULL;
	table->came = table->added;
}

/* Make all changes seen, if there are any, unless in a transaction. A removal that found no memory has used the spare block: now
 * there is another one that can take its place. */
static void table_publish(struct gpamap_table *table)
{
	if (table->begun || !private_index(table)->changed)
		return;
	table_publish_once(table);
	if (index_release_spare(&table->pool, private_index(table)))
		table_publish_once(table);
}

/* Take all changes back that were made since the last publication. */
static void table_take_back(struct gpamap_table *table)
{
	struct mapping *mapping;

	index_revert(&table->pool, private_index(table), table_index(table));
	pool_keep_retired(&table->pool);
	while ((mapping = table->last_out) && mapping->item.rank >= table->came) {
		dequeue(table, mapping);
		memory_give(&table->pool.memory, mapping, sizeof(*mapping));
	}
	while ((mapping = table->went)) {
		table->went = mapping->next;
		enqueue_again(table, mapping);
	}
	table->added = table->came;
}

/* ---- Mappings ---- */

static struct spot spot_of(struct gpamap_table *table, const struct mapping *mapping)
{
	return index_find(private_index(table), mapping->first, (uintptr_t)mapping | (~mapping->perm & DENIES));
}

/* Put a mapping in, the youngest. ENOMEM: no memory, and no change that can be seen. */
static int put(struct gpamap_table *table, struct mapping *mapping)
{
	struct index *index = private_index(table);
	struct entry entry = {
		.start = mapping->first,
		.reach = mapping_last(mapping),
		.delta = mapping->host - mapping->first,
		.item = (uintptr_t)mapping | (~mapping->perm & DENIES),
	};

	mapping->item.rank = table->added;
	if (pool_keep_spare(&table->pool) ||
	    index_insert(&table->pool, index, &published_table(table)->index, entry))
		return -ENOMEM;
	table->added++;
	enqueue(table, mapping);
	return 0;
}

/* Take the youngest mapping out again, and free it. It was put in a moment ago: its block is open. */
static void unput(struct gpamap_table *table)
{
	struct mapping *mapping = table->last_out;

	index_remove(&table->pool, private_index(table), spot_of(table, mapping));
	dequeue(table, mapping);
	memory_give(&table->pool.memory, mapping, sizeof(*mapping));
}

/* The mapping is in the index no more, and is freed when that is published; at once, if it never was. */
static void went(struct gpamap_table *table, struct mapping *mapping)
{
	dequeue(table, mapping);
	if (mapping->item.rank >= table->came) {
		memory_give(&table->pool.memory, mapping, sizeof(*mapping));
		return;
	}
	mapping->next = table->went;
	table->went = mapping;
}

/* Take the mapping at this spot out. ENOMEM: no memory, and no change. */
static int pull(struct gpamap_table *table, struct spot spot)
{
	struct index *index = private_index(table);
	struct mapping *mapping = mapping_of(spot_entry(index, spot));

	if (index_open(&table->pool, index, spot))
		return -ENOMEM;
	index_remove(&table->pool, index, spot);
	went(table, mapping);
	return 0;
}

/* So many mappings, in a chain. */
int table_take(struct gpamap_table *table, size_t count, struct mapping **taken)
{
	struct mapping *chain = NULL;

	while (count--) {
		struct mapping *mapping = memory_take(&table->pool.memory, sizeof(*mapping));

		if (!mapping) {
			free_chain(table, chain);
			return -ENOMEM;
		}
		mapping->next = chain;
		chain = mapping;
	}
	*taken = chain;
	return 0;
}

/* Replace what is there by mappings that were taken, in the order of the chain. ENOMEM: no memory; they are freed. */
int table_fill(struct gpamap_table *table, struct mapping *taken)
{
	index_clear(&table->pool, private_index(table));
	while (table->next_out)
		went(table, table->next_out);
	while (taken) {
		struct mapping *next = taken->next;

		if (put(table, taken)) {
			table_take_back(table);
			free_chain(table, taken);
			return -ENOMEM;
		}
		taken = next;
	}
	table_publish(table);
	return 0;
}

/* Take everything out. */
void table_clear(struct gpamap_table *table)
{
	(void)table_fill(table, NULL);
}

/* ---- Making and freeing ---- */

static bool table_is_bad(const struct gpamap_table_config *config)
{
	if (config->retirement > GPAMAP_LRU || config->largest_block > GPAMAP_LARGEST_BLOCK)
		return true;
	return config->retirement != GPAMAP_REFUSE && config->limit < 1;
}

/* The table's memory is all 0. */
void table_init(struct gpamap_table *table, const struct memory *memory, size_t limit, uint32_t retirement,
		uint32_t largest_block)
{
	pool_init(&table->pool, memory, largest_block);
	gate_init(&table->gate, &table->views[0], NULL, NULL);
	table->views[0].version = 1;
	table->limit = limit;
	table->retirement = retirement;
}

/* Free all that a table has. */
void table_drop(struct gpamap_table *table)
{
	if (table->begun)
		table_take_back(table);
	while (table->gate.readers)
		gpamap_table_reader_destroy(table, table->gate.readers);
	while (table->next_out)
		went(table, table->next_out);
	free_chain(table, table->went);
	index_drop(&table->pool, &table->views[0].index, true);
	index_drop(&table->pool, &table->views[1].index, false);
	pool_drop(&table->pool);
}

int gpamap_table_create(const struct gpamap_table_config *config, struct gpamap_table **table)
{
	struct memory memory = {config->zalloc, config->release, config->context};
	struct gpamap_table *new;

	if (table_is_bad(config) || memory_is_bad(&memory))
		return -EINVAL;
	memory = memory_or_libc(memory);
	new = memory_take(&memory, sizeof(*new));
	if (!new)
		return -ENOMEM;
	table_init(new, &memory, config->limit, config->retirement, config->largest_block);
	new->gate.wait = config->wait;
	new->gate.context = config->context;
	*table = new;
	return 0;
}

void gpamap_table_destroy(struct gpamap_table *table)
{
	struct memory memory;

	if (!table)
		return;
	memory = table->pool.memory;
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
	mapping->item.span = entry->last - entry->first;
	mapping->host = entry->host;
	mapping->perm = entry->perm;
}

int gpamap_table_add(struct gpamap_table *table, const struct gpamap_entry *entry)
{
	bool is_full = private_index(table)->entries >= table->limit;
	struct mapping *mapping;
	int error;

	if (is_no_entry(entry))
		return -EINVAL;
	if (is_full && table->retirement == GPAMAP_REFUSE)
		return -ENOSPC;
	if (table_take(table, 1, &mapping))
		return -ENOMEM;
	describe(mapping, entry);
	error = put(table, mapping);
	if (error) {
		free_chain(table, mapping);
	} else if (is_full) {
		error = pull(table, spot_of(table, table->next_out));
		if (error)
			unput(table);
	}
	if (!error)
		table_publish(table);
	else if (!table->begun)
		table_take_back(table);
	return error;
}

int gpamap_table_remove(struct gpamap_table *table, uint64_t first, uint64_t last, uint64_t host)
{
	const struct index *index = private_index(table);
	struct spot spot = index_from(index, first);
	const struct entry *entry;

	for (; (entry = index_entry(index, spot)) && entry->start == first; spot = index_next(index, spot)) {
		const struct mapping *mapping = mapping_of(entry);

		if (mapping_last(mapping) != last || mapping->host != host)
			continue;
		/* Outside of a transaction the spare block is there. */
		if (pull(table, spot))
			return -ENOMEM;
		table_publish(table);
		return 0;
	}
	return -ENOENT;
}

/* Make ready for the removal of all that has a byte of the range. ENOMEM: no memory, and no change. */
static int open_range(struct gpamap_table *table, uint64_t first, uint64_t last)
{
	struct index *index = private_index(table);
	struct spot spot = index_seek(index, first);
	const struct entry *entry;

	for (; (entry = index_entry(index, spot)) && entry->start <= last; spot = index_next(index, spot))
		if (mapping_last(mapping_of(entry)) >= first && index_open(&table->pool, index, spot))
			return -ENOMEM;
	return 0;
}

int gpamap_table_remove_range(struct gpamap_table *table, uint64_t first, uint64_t last)
{
	const struct entry *entry;
	struct spot spot;

	if (last < first)
		return -EINVAL;
	if (table->begun && open_range(table, first, last))
		return -ENOMEM;
	spot = index_seek(private_index(table), first);
	while ((entry = index_entry(private_index(table), spot)) && entry->start <= last) {
		/* Where memory is short, a range goes piece by piece; not in a transaction: there all is open. */
		if (pull(table, spot))
			table_publish(table);
		spot = index_seek(private_index(table), first);
	}
	table_publish(table);
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
	if (table->begun)
		return -EBUSY;
	if (table_take(table, count, &taken))
		return -ENOMEM;
	for (i = 0, mapping = taken; i < count; i++, mapping = mapping->next)
		describe(mapping, &entries[i]);
	return table_fill(table, taken);
}

/* ---- Transactions ---- */

int gpamap_table_begin(struct gpamap_table *table)
{
	if (table->begun)
		return -EBUSY;
	table->begun = true;
	return 0;
}

int gpamap_table_commit(struct gpamap_table *table)
{
	if (!table->begun)
		return -EINVAL;
	table->begun = false;
	table_publish(table);
	return 0;
}

int gpamap_table_abort(struct gpamap_table *table)
{
	if (!table->begun)
		return -EINVAL;
	table->begun = false;
	table_take_back(table);
	return 0;
}
