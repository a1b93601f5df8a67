/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The structure of a map, and what holds of it.
 *
 *     map ── view 0 ── by_gpa[space] ─┐
 *      │              by_hva          ├─ sorted entries ── slots ── logs
 *      │              by_word ────────┘
 *      ├── view 1 ── the same
 *      └── readers
 *
 * There are two views (sets of slots); one is *published*. Readers read the published view and nobody changes it. The
 * writer edits the other, publishes it, waits until no reader is left in the former, and makes the same edits there.
 *
 * Between calls (and with no transaction begun) the two views hold the same slots. Each view, at any time:
 *   - by_gpa of a space holds its slots by their guest bytes, and these do not overlap;
 *   - by_hva holds all slots by their host bytes, which may overlap;
 *   - by_word holds all slots by their slot word, each once.
 * A slot never changes once it is in a view: a change makes a new slot, which may take the log over.
 */
#ifndef GPAMAP_INTERNAL_H
#define GPAMAP_INTERNAL_H

#include <stdatomic.h>

#include "index.h"

#define PAGE_SHIFT 12
#define WORD_PAGES 64

/* One bit for each page of a slot. Bits past the last page are 0. Readers set bits while the writer takes them. */
struct log {
	uint64_t npages;
	size_t nwords;
	_Atomic uint64_t words[];
};

struct slot {
	uint32_t word;
	uint32_t flags;
	uint64_t first; /* guest bytes */
	uint64_t last;
	uint64_t host;
	struct log *log; /* NULL: none is kept */
};

static inline uint32_t space_of(uint32_t word)
{
	return word >> 16;
}

static inline uint32_t id_of(uint32_t word)
{
	return word & 0xffff;
}

static inline uint64_t pages_in(uint64_t size)
{
	return size >> PAGE_SHIFT;
}

static inline uint64_t last_host(const struct slot *slot)
{
	return slot->host + (slot->last - slot->first);
}

struct gpamap_view {
	struct gpamap *map;
	struct index by_hva;
	struct index by_word;
	struct index by_gpa[];
};

/* One step of a transaction: `old` gave way to `new` (either may be NULL). */
struct change {
	struct change *next;
	struct change *before;
	struct slot *old;
	struct slot *new;
};

/* `inside` is odd while the reader is inside. Each reader has a cache line of its own. */
struct gpamap_reader {
	char front[64];
	_Atomic uint64_t inside;
	struct gpamap *map;
	struct gpamap_reader *next;
	char back[64];
};

struct gpamap {
	struct gpamap_config config;
	struct memory memory;
	uint64_t owner;

	struct gpamap_view *views[2];
	_Atomic(struct gpamap_view *) published;
	struct gpamap_reader *readers;

	bool begun;
	struct change *oldest;
	struct change *newest;

	bool manual_protect;
	bool initially_set;
	_Atomic uint32_t dirty_ring; /* bytes; 0: none */
	_Atomic bool accessed;
};

/* map.c */
void *map_alloc(struct gpamap *map, size_t size);
void map_free(struct gpamap *map, void *memory, size_t size);
bool is_owner(const struct gpamap *map);

/* view.c */
struct gpamap_view *view_new(struct gpamap *map);
void view_free(struct gpamap_view *view);
struct slot *view_slot(const struct gpamap_view *view, uint32_t word);
struct slot *view_holding(const struct gpamap_view *view, uint32_t space, uint64_t gpa);
bool view_overlaps(const struct gpamap_view *view, uint32_t word, uint64_t first, uint64_t last);
void view_replace(struct gpamap_view *view, struct slot *old, struct slot *new);

/* log.c */
struct log *log_new(struct gpamap *map, uint64_t npages, bool all_set);
void log_free(struct gpamap *map, struct log *log);
void log_mark(struct log *log, uint64_t page);
void log_copy(const struct log *log, uint64_t *bitmap);
void log_take(struct log *log, uint64_t *bitmap);
void log_clear(struct log *log, uint64_t first_page, uint64_t num_pages, const uint64_t *bitmap);
bool log_next_run(const struct log *log, uint64_t from, uint64_t *first, uint64_t *last);

/* publish.c */
struct gpamap_view *published_view(const struct gpamap *map);
struct gpamap_view *private_view(const struct gpamap *map);
int reserve_for(struct gpamap *map, uint32_t space);
void make_change(struct gpamap *map, struct change *change);
void publish(struct gpamap *map);

#endif
