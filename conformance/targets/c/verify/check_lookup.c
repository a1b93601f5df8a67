/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What readers ask of a view: answers, errors and every access, over a view of one space with any two slots. The search is
 * replaced by what it promises, which check_search.c shows; the walk is check_walk.c's.
 */
#include "verify.h"

#define index_at library_index_at
#define index_seek library_index_seek
#define entry_item library_entry_item
#include "index.h"
#undef index_at
#undef index_seek
#undef entry_item

/* An entry's item is here four times the number of a slot: numbers that become pointers are beyond the solver. */
static void *entry_item(const struct entry *entry);

#include "internal.h"

#define SLOTS 2

struct storage {
	struct block *next;
	void *memory;
	uint32_t room;
	bool fresh;
	struct entry entries[SLOTS];
};

_Static_assert(offsetof(struct storage, entries) == offsetof(struct block, entries), "the storage of a block");

static struct slot slots[SLOTS];
static struct log log;
static size_t count_slots;
static struct storage by_gpa, by_hva;
static struct entry gpa_place, hva_place;
static struct gpamap map;
static union {
	struct gpamap_view view;
	char with_space[sizeof(struct gpamap_view) + sizeof(struct space)];
} all;
static struct gpamap_view *const view = &all.view;

static void *entry_item(const struct entry *entry)
{
	size_t number = entry->item / (DENIES + 1);

	CLAIM(number < count_slots, "an entry of a slot that there is");
	return &slots[number];
}

/* The number of the first entry that reaches an address; count_slots if none does. */
static size_t first_reaching(const struct index *index, uint64_t address)
{
	size_t n;

	for (n = 0; n < SLOTS && n < count_slots; n++)
		if (index->places[0].block->entries[n].reach >= address)
			return n;
	return count_slots;
}

static struct spot index_seek(const struct index *index, uint64_t address)
{
	size_t n = first_reaching(index, address);

	return n < count_slots ? (struct spot){0, n} : (struct spot){index->count, 0};
}

static const struct entry *index_at(const struct index *index, uint64_t address)
{
	size_t n = first_reaching(index, address);

	return n < count_slots && index->places[0].block->entries[n].start <= address ? &index->places[0].block->entries[n]
										       : NULL;
}

/* What comes after a spot of one block. */
struct spot index_next(const struct index *index, struct spot spot)
{
	return spot.at + 1 < index->places[spot.place].count ? (struct spot){0, spot.at + 1} : (struct spot){1, 0};
}

struct slot *view_slot(const struct gpamap_view *of, uint32_t word)
{
	size_t i;

	CLAIM(of == view, "of this view");
	for (i = 0; i < SLOTS; i++)
		if (i < count_slots && slots[i].word == word)
			return &slots[i];
	return NULL;
}

void log_mark(struct log *of, uint64_t page);

bool log_next_run(const struct log *of, uint64_t from, uint64_t *first, uint64_t *last)
{
	CLAIM(of == &log, "the log of the slot");
	*first = from;
	*last = from;
	return nondet_bool();
}

int walk(const struct index *index, uint64_t addr, uint64_t length, uintptr_t denied, int refusal,
	 struct gpamap_segment *segments, size_t room, struct gpamap_reach *reach)
{
	(void)addr;
	(void)length;
	(void)segments;
	(void)room;
	CLAIM(index == &view->spaces[0].by_gpa && (denied == 0 || denied == DENIES_WRITE) && refusal == -EACCES,
	      "in guest memory, where a slot may deny a write");
	*reach = (struct gpamap_reach){0, 0};
	return 7;
}

#include "lookup.c"

static uint64_t last_host(const struct slot *slot)
{
	return slot->host + slot->item.span;
}

/* Slots that are apart, in order; their host ranges are in order, too, and may overlap. */
static void any_view(void)
{
	uint64_t reach = 0;
	size_t i;

	view->map = &map;
	view->version = nondet_u64();
	view->nspaces = 1;
	count_slots = any_below(SLOTS + 1);
	gpa_place = (struct entry){.count = (uint16_t)count_slots, .block = (struct block *)&by_gpa};
	hva_place = (struct entry){.count = (uint16_t)count_slots, .block = (struct block *)&by_hva};
	view->spaces[0].by_gpa = (struct index){.places = &gpa_place, .count = count_slots != 0};
	view->by_hva = (struct index){.places = &hva_place, .count = count_slots != 0};
	for (i = 0; i < SLOTS; i++) {
		struct slot *slot = &slots[i];
		uintptr_t item = i * (DENIES + 1);

		if (i >= count_slots)
			break;
		*slot = (struct slot){.first = nondet_u64(),
				      .host = nondet_u64(),
				      .word = nondet_u32(),
				      .flags = nondet_u32(),
				      .log = nondet_bool() ? &log : NULL,
				      .item.span = nondet_u64()};
		ASSUME(slot->first <= UINT64_MAX - slot->item.span && slot->host <= UINT64_MAX - slot->item.span);
		ASSUME(last_of(slot) < UINT64_MAX); /* no slot has the last page: check_request */
		ASSUME(!i || (last_of(&slots[i - 1]) < slot->first && slots[i - 1].host <= slot->host &&
			      slots[i - 1].word != slot->word));
		item |= slot->flags & GPAMAP_READONLY ? DENIES_WRITE : 0;
		reach = last_host(slot) > reach ? last_host(slot) : reach;
		by_gpa.entries[i] = (struct entry){slot->first, last_of(slot), {slot->host - slot->first}, {item}};
		by_hva.entries[i] = (struct entry){slot->host, reach, {slot->first - slot->host}, {item}};
	}
}

/* The slot that holds a guest byte; NULL if none does. */
static const struct slot *holder(uint64_t gpa)
{
	size_t i;

	for (i = 0; i < SLOTS; i++)
		if (i < count_slots && slots[i].first <= gpa && gpa <= last_of(&slots[i]))
			return &slots[i];
	return NULL;
}

/* A guest byte, by the search or by what the reader found last. */
void looked_up(void)
{
	struct gpamap_reader reader = {.hit = {.version = nondet_u64(), .space = nondet_u32()}};
	uint32_t space = nondet_u32();
	uint64_t gpa = nondet_u64();
	int write = nondet_bool();
	struct gpamap_segment found, again;
	const struct slot *slot;
	int expected, result;
	bool was_hit;

	any_view();
	slot = space == 0 ? holder(gpa) : NULL;
	expected = !slot ? -EFAULT : write && slot->flags & GPAMAP_READONLY ? -EACCES : 0;
	result = gpamap_lookup(view, space, gpa, write, &found);
	CLAIM(result == expected, "it is there, or not, or may not be written");
	if (!result)
		CLAIM(found.first == gpa && found.last == last_of(slot) && found.host == slot->host + (gpa - slot->first),
		      "from the byte to the end of the slot, at its host byte");
	/* What the reader found last is of this view, or of another version. */
	if (reader.hit.version == view->version) {
		size_t n = any_below(SLOTS);
		const struct entry *entry = &by_gpa.entries[n];

		ASSUME(n < count_slots);
		reader.hit = (struct hit){view->version, entry->start, entry->reach - entry->start, entry->delta, entry->item, 0};
	} else {
		reader.hit.start = nondet_u64();
		reader.hit.span = nondet_u64();
	}
	was_hit = reader.hit.version == view->version && space == 0 && holder(reader.hit.start) == slot;
	CLAIM(gpamap_lookup_again(&reader, view, space, gpa, write, &again) == expected, "again the same");
	if (!expected)
		CLAIM(again.first == gpa && again.last == found.last && again.host == found.host, "as before");
	WITNESS(!result && was_hit && gpa > slot->first, "it is what was found last");
	WITNESS(!result && !was_hit && slot == &slots[1], "it is not");
	WITNESS(result == -EACCES, "it may not be written");
	WITNESS(result == -EFAULT && space, "there is no such space");
}

/* Slots by their numbers, from an address on, and by host bytes. */
void found(void)
{
	uint64_t address = nondet_u64();
	uint32_t space = nondet_u32(), word = nondet_u32();
	struct gpamap_slot_info info;
	struct gpamap_guest_range range;
	struct gpamap_segment segment;
	struct gpamap_reach reach;
	uint64_t first, last;
	size_t next, host, length = nondet_size();
	const struct slot *named;
	int result;

	any_view();
	next = first_reaching(&view->spaces[0].by_gpa, address);
	result = gpamap_next_slot(view, space, address, &info);
	CLAIM(result == (space == 0 && next < count_slots ? 0 : -ENOENT), "the first slot that ends at an address or behind it");
	if (!result)
		CLAIM(info.slot == slots[next].word && info.flags == slots[next].flags && info.first == slots[next].first &&
			      info.last == last_of(&slots[next]) && info.host == slots[next].host &&
			      info.logged == (slots[next].log != NULL),
		      "as it is");
	named = view_slot(view, word);
	CLAIM(gpamap_find_slot(view, word, &info) == (named ? 0 : -ENOENT), "the slot of this number");
	if (named)
		CLAIM(info.slot == word && info.first == named->first && info.last == last_of(named), "as it is");
	if (gpamap_next_dirty(view, word, address, &first, &last))
		CLAIM(named && named->log, "only a slot with a log has dirty pages");
	host = first_reaching(&view->by_hva, address);
	result = gpamap_lookup_hva(view, address, &range);
	CLAIM(result == (host < count_slots && slots[host].host <= address ? 0 : -ENOENT), "the slot with this host byte");
	if (!result)
		CLAIM(range.slot == slots[host].word && range.first == slots[host].first + (address - slots[host].host) &&
			      range.last == last_of(&slots[host]),
		      "from its guest byte to the end of the slot");
	result = gpamap_translate(view, space, address, length, nondet_bool(), &segment, word & 1, &reach);
	CLAIM(result == (space == 0 ? 7 : !length ? 0 : word & 1 ? -EFAULT : -ENOBUFS), "a walk; or there is no such space");
	WITNESS(next == 1 && host == 0 && named == &slots[1], "two slots");
	WITNESS(result == -EFAULT && !count_slots, "none");
}
