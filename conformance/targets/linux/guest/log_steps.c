#include "log_steps.h"

#include "channel.h"
#include "step.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MANY_PAGES (1ull << 20) /* as many bits as are put past the last word of a bitmap */
#define PAGE 4096ull
#define SLACK 4096 /* bytes after a bitmap in which a kernel that writes too much is seen */
#define SMALL_BITMAP 65536
#define LARGEST_BITMAP (1ull << 30)
#define UNWRITTEN 0xa6 /* a bitmap byte before the kernel writes it */
#define UNWRITTEN_AGAIN 0x59 /* the same, when it is asked a second time */

/* A zeroed buffer with room for `length` bytes and the slack. */
static uint8_t *bitmap_buffer(uint64_t length)
{
	static uint8_t *buffer;

	if (buffer == NULL) {
		buffer = mmap(NULL, LARGEST_BITMAP + SLACK, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (buffer == MAP_FAILED)
			fatal("no address space for bitmaps");
		madvise(buffer, LARGEST_BITMAP + SLACK, MADV_DONTFORK);
	}
	if (length > LARGEST_BITMAP)
		leave(SKIPPED, "a bitmap of %llu bytes is more than this harness keeps", (unsigned long long)length);
	return buffer;
}

static void release_bitmap(uint8_t *buffer, uint64_t length)
{
	if (length > SMALL_BITMAP)
		madvise(buffer, LARGEST_BITMAP + SLACK, MADV_DONTNEED);
	else
		memset(buffer, 0, length);
}

/* The numbers of a DIRTY_PAGES answer: how many bytes were written, then pairs of first and last page. */
static uint64_t *numbers;
static uint32_t numbers_used, numbers_room;

static void add_number(uint64_t number)
{
	if (numbers_used == numbers_room) {
		numbers_room = 2 * numbers_room + 1024;
		numbers = realloc(numbers, numbers_room * sizeof(*numbers));
		if (numbers == NULL)
			fatal("no memory for dirty pages");
	}
	numbers[numbers_used++] = number;
}

static void add_page(uint64_t page)
{
	if (numbers_used > 1 && numbers[numbers_used - 1] + 1 == page) {
		numbers[numbers_used - 1] = page;
		return;
	}
	add_number(page);
	add_number(page);
}

static void add_pages_of(const uint8_t *bitmap, uint64_t from, uint64_t to)
{
	for (uint64_t byte = from; byte < to; byte++)
		for (unsigned bit = 0; bitmap[byte] >> bit != 0; bit++)
			if (bitmap[byte] >> bit & 1)
				add_page(8 * byte + bit);
}

/* How many bytes there are up to the last that differs from what they were filled with. */
static uint64_t changed_bytes(const uint8_t *buffer, uint64_t room, uint8_t fill)
{
	while (room > 0 && buffer[room - 1] == fill)
		room--;
	return room;
}

static int read_log(struct vm *vm, const struct flat_step *step, uint8_t *buffer)
{
	struct kvm_dirty_log log = { .slot = step->slot };

	log.dirty_bitmap = step->bits & BUFFER_OK ? buffer : nowhere();
	return call(step, vm->fd, KVM_GET_DIRTY_LOG, &log);
}

void get_dirty_log(struct vm *vm, const struct flat_step *step)
{
	const struct known_slot *slot = known(step->slot);
	uint64_t expected = slot == NULL ? 0 : (slot->size / PAGE + 63) / 64 * 8;
	uint64_t room = expected + SLACK;
	uint8_t *buffer = bitmap_buffer(room);

	memset(buffer, UNWRITTEN, room);
	int error = read_log(vm, step, buffer);
	if (error != 0) {
		release_bitmap(buffer, room);
		answer_errno(error);
		return;
	}
	uint64_t written = changed_bytes(buffer, room, UNWRITTEN);
	numbers_used = 0;
	add_number(written);
	add_pages_of(buffer, 0, written);
	/*
	 * Fewer or more than there should be? The bytes behind may have been written too, as what they were before. Read the
	 * log again over other bytes: what is written there is 0 if reading clears the log, UNWRITTEN if it does not.
	 */
	if (written != expected) {
		memset(buffer + written, UNWRITTEN_AGAIN, room - written);
		error = read_log(vm, step, buffer);
		uint64_t more = written + changed_bytes(buffer + written, room - written, UNWRITTEN_AGAIN);
		memset(buffer + written, UNWRITTEN, more - written);
		add_pages_of(buffer, written, more);
		numbers[0] = more;
	}
	release_bitmap(buffer, room);
	if (error != 0)
		leave(ERRORED, "a log was read, and the same call once more was refused: %s", strerror(error));
	answer(DIRTY_PAGES, 0, numbers_used, numbers);
}

void clear_dirty_log(struct vm *vm, const struct flat_step *step)
{
	uint64_t length = (step->v[1] + 63) / 64 * 8;
	const uint64_t *ranges = (const uint64_t *)(step + 1);

	/* Bits that the kernel has no reason to read are there too, in case it reads them. */
	for (uint32_t i = 0; i < step->ranges; i++)
		if (length <= ranges[2 * i + 1] / 8 && ranges[2 * i + 1] < MANY_PAGES)
			length = ranges[2 * i + 1] / 8 + 1;
	uint8_t *buffer = bitmap_buffer(length);
	struct kvm_clear_dirty_log log = {
		.slot = step->slot,
		.first_page = step->v[0],
		.num_pages = (uint32_t)step->v[1],
	};

	for (uint32_t i = 0; i < step->ranges; i++)
		for (uint64_t page = ranges[2 * i]; page <= ranges[2 * i + 1] && page / 8 < length; page++) {
			if (page % 8 == 0 && page + 7 <= ranges[2 * i + 1]) {
				buffer[page / 8] = 0xff;
				page += 7;
			} else {
				buffer[page / 8] |= (uint8_t)(1u << page % 8);
			}
		}
	log.dirty_bitmap = step->bits & BUFFER_OK ? buffer : nowhere();
	answer_errno(call(step, vm->fd, KVM_CLEAR_DIRTY_LOG, &log));
	release_bitmap(buffer, length);
}
