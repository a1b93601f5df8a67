#include "access_steps.h"

#include "backings.h"
#include "step.h"
#include "vcpu.h"

#include <string.h>

#define PAGE 4096ull
#define CLOCK_BYTES 12

/*
 * The host address at which to look first for a write to gpa, 0 if anywhere will do. Leaves the vector if that byte lives
 * in memory that this harness did not map.
 */
static uint64_t look_first(uint64_t gpa, uint64_t length)
{
	const struct known_slot *slot = known_at(gpa);

	if (slot == NULL)
		return 0;
	uint64_t host = slot->hva + (gpa - slot->gpa);
	if (!backings_hold(host, length))
		leave(SKIPPED, "guest byte 0x%llx lives at host address 0x%llx, where this harness has no memory",
		      (unsigned long long)gpa, (unsigned long long)host);
	return host;
}

/* One page's part of a write of the wall clock. */
struct piece {
	uint64_t gpa;
	uint32_t page_offset, length;
	const uint8_t *fill; /* what its bytes are before the write */
	uint64_t look;	     /* the host page to look at, 0 for all */
	uint64_t seen;	     /* the host page in which bytes changed */
	uint32_t mask;	     /* which ones */
};

static bool piece_is_whole(const struct piece *piece)
{
	return piece->mask == (uint32_t)((1ull << piece->length) - 1);
}

/* Write the clock over the fill bytes and see what changed. */
static void write_pieces(struct vm *vm, struct piece *pieces, int count)
{
	for (int i = 0; i < count; i++)
		backings_fill(pieces[i].look, pieces[i].page_offset, pieces[i].length, pieces[i].fill);
	int error = wall_clock_write(vm, pieces[0].gpa);
	if (error != 0)
		leave(ERRORED, "KVM_SET_MSRS of the wall clock: %s", strerror(error));
	for (int i = 0; i < count; i++) {
		struct piece *piece = &pieces[i];
		struct change change =
			backings_changed(piece->look, piece->page_offset, piece->length, piece->fill);

		if (change.pages > 1)
			leave(ERRORED, "one write of the wall clock changed %u pages", change.pages);
		if (change.pages == 1) {
			uint64_t page = change.host & ~(PAGE - 1);

			if (piece->seen != 0 && piece->seen != page)
				leave(ERRORED, "the same guest byte was written at two host addresses");
			piece->seen = page;
			piece->mask |= change.mask;
		}
		backings_restore(piece->look, piece->page_offset, piece->length);
	}
}

void guest_write(struct vm *vm, const struct flat_step *step)
{
	uint64_t gpa = step->v[0];
	uint32_t offset = (uint32_t)(gpa % PAGE);
	uint8_t fill[CLOCK_BYTES];
	struct piece pieces[2];
	int count = 1;

	if (gpa == 0 || step->v[1] != CLOCK_BYTES || offset > PAGE - 4 || gpa > UINT64_MAX - CLOCK_BYTES)
		leave(SKIPPED, "the kernel's wall clock is 12 bytes, never at guest address 0, its first 4 in one page");
	pieces[0] = (struct piece){ gpa, offset, CLOCK_BYTES, fill, 0, 0, 0 };
	if (offset + CLOCK_BYTES > PAGE) {
		uint32_t here = (uint32_t)PAGE - offset;

		pieces[0].length = here;
		pieces[1] = (struct piece){ gpa + here, 0, CLOCK_BYTES - here, fill + here, 0, 0, 0 };
		count = 2;
	}
	for (int i = 0; i < count; i++)
		pieces[i].look = look_first(pieces[i].gpa, pieces[i].length);
	int error = vcpu_make(vm);
	if (error != 0)
		leave(ERRORED, "no virtual CPU: %s", strerror(error));

	/*
	 * The kernel adds to the version it finds: all ones makes it change each of those four bytes. Any other byte that
	 * happens to be written as it was is not seen: then try again over other bytes, and in all pages.
	 */
	for (unsigned attempt = 0; attempt < 8; attempt++) {
		bool whole = true;

		memset(fill, 0xff, 4);
		memset(fill + 4, (int)(0xff - 0x25 * attempt), CLOCK_BYTES - 4);
		write_pieces(vm, pieces, count);
		for (int i = 0; i < count; i++) {
			/* A piece of which nothing changed, wherever one looks, was not written: that is no accident. */
			whole = whole && (piece_is_whole(&pieces[i]) || (pieces[i].mask == 0 && pieces[i].look == 0));
			if (!piece_is_whole(&pieces[i]) && pieces[i].mask == 0)
				pieces[i].look = 0;
		}
		if (whole)
			break;
	}

	uint64_t values[6];
	uint32_t used = 0, written = 0;
	for (int i = 0; i < count; i++) {
		const struct piece *piece = &pieces[i];

		if (piece->mask == 0)
			continue;
		uint32_t first = (uint32_t)__builtin_ctz(piece->mask), last = 31 - (uint32_t)__builtin_clz(piece->mask);

		values[used++] = piece->gpa + first;
		values[used++] = piece->gpa + last;
		values[used++] = piece->seen + piece->page_offset + first;
		written += (uint32_t)__builtin_popcount(piece->mask);
	}
	answer(WRITTEN, written < CLOCK_BYTES, used, values);
}

void vcpu_step(struct vm *vm, const struct flat_step *step, bool write)
{
	uint64_t gpa = step->v[0];
	uint32_t offset = (uint32_t)(gpa % PAGE);

	uint64_t look = look_first(gpa, 1);
	struct access access = vcpu_access(vm, gpa, write, backings_new_byte(offset));
	struct change change = { 0, 0, 0 };
	if (write)
		change = backings_changed(look, offset, 1, NULL);
	if (write && change.pages == 0 && look != 0)
		change = backings_changed(look = 0, offset, 1, NULL);
	if (change.pages > 0)
		backings_restore(look, offset, 1);

	switch (access.end) {
	case UNSUPPORTED:
		leave(SKIPPED, "%s", access.reason);
	case BROKEN:
		leave(ERRORED, "%s", access.reason);
	case NO_HOST:
		answer_errno(access.error);
		return;
	case LEFT:
		if (change.pages > 0)
			leave(ERRORED, "a write left to userspace and yet changed host address 0x%llx",
			      (unsigned long long)change.host);
		answer(MMIO, 0, 1, &access.gpa);
		return;
	case REACHED:
		break;
	}
	uint64_t host;
	if (write) {
		if (change.pages != 1)
			leave(ERRORED, "guest code wrote one byte and %u pages changed", change.pages);
		host = change.host;
	} else {
		host = backings_find_word(access.word);
		if (host == 0)
			leave(ERRORED, "guest code read 0x%x, which is in no backing", access.word);
		host += offset & 3;
	}
	answer(TOUCHED, 0, 1, &host);
}
