/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The structure of a map, and what holds of it.
 *
 *     map ── view 0 ── by_hva ────────┐
 *      │          └── space ─┬ by_gpa ├── slots ── logs
 *      │                     └ by_id ─┘
 *      ├── view 1 ── the same
 *      └── readers
 *
 * There are two views (sets of slots); readers read the one that is *published*, the writer edits the other (gate.h).
 *
 * Between calls (and with no transaction begun) the two views hold the same slots. Each view, whenever it is published:
 *   - by_gpa of a space holds its slots by their guest bytes, and these do not overlap;
 *   - by_hva holds all slots by their host bytes, which may overlap;
 *   - by_id of a space has its slots at their numbers.
 * A slot never changes once it is in a view: a change makes a new slot, which may take the log over.
 */
#ifndef GPAMAP_INTERNAL_H
#define GPAMAP_INTERNAL_H

#include "gate.h"
#include "index.h"
#include "translate.h"

#define PAGE_SHIFT 12
#define WORD_PAGES 64

/* One bit for each page of a slot. Bits past the last page are 0. Readers set bits while the writer takes them. */
struct log {
	uint32_t holders; /* slots that have it */
	uint64_t npages;
	size_t nwords;
	_Alignas(8) _Atomic uint64_t words[]; /* said, since gcc -m32 would note that it is so */
};

struct slot {
	struct item item; /* rank: the slot word; span: of guest and host bytes */
	uint64_t first;   /* guest byte */
	uint64_t host;
	struct log *log; /* NULL: none is kept */
	uint32_t word;
	uint32_t flags;
	struct slot *next; /* in a list of struct gpamap */
	bool is_new;       /* no view with it was published yet */
	bool is_out;       /* it lost its place before that */
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

static inline uint64_t last_of(const struct slot *slot)
{
	return slot->first + slot->item.span;
}

struct space {
	struct index by_gpa;
	struct slot **by_id; /* NULL where no slot has the number */
	size_t ids;          /* the numbers that by_id has room for */
	struct slot **later; /* a larger by_id, for when this view follows */
	size_t later_ids;
};

struct gpamap_view {
	struct gpamap *map;
	uint64_t version; /* how many were published before, from 1 on */
	uint32_t nspaces;
	struct index by_hva;
	struct space spaces[];
};

/* A space that the writer has edited since the last publication. `next` is its number + 1. */
struct edited {
	bool is_listed;
	uint32_t next;
};

struct gpamap {
	struct gpamap_config config;
	struct pool pool;
	struct gate gate;
	uint64_t owner;

	struct gpamap_view *views[2];
	bool begun;
	struct slot *came; /* since the last publication */
	struct slot *went;
	uint32_t first_edited; /* number + 1 */
	struct edited *edited;

	bool manual_protect;
	bool initially_set;
	_Atomic uint32_t dirty_ring; /* bytes; 0: none */
	_Atomic bool accessed;
};

static inline struct slot *slot_of(const struct entry *entry)
{
	return entry_item(entry);
}

/* map.c */
bool is_owner(const struct gpamap *map);

/* view.c */
struct gpamap_view *view_new(struct gpamap *map);
void view_free(struct gpamap_view *view, bool with_blocks);
struct slot *view_slot(const struct gpamap_view *view, uint32_t word);
bool view_overlaps(const struct gpamap_view *view, uint32_t word, uint64_t first, uint64_t last);
void view_copy_id(struct gpamap_view *view, const struct gpamap_view *model, uint32_t word);
void view_follow(struct gpamap_view *view, struct gpamap_view *published, uint32_t number);
int view_replace(struct gpamap_view *view, struct gpamap_view *other, struct slot *old, struct slot *new);

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
int make_change(struct gpamap *map, struct slot *old, struct slot *new);
void free_slot(struct gpamap *map, struct slot *slot);
void publish(struct gpamap *map);
void take_back(struct gpamap *map);

#endif
