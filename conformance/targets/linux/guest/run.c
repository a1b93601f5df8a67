#include "run.h"

#include "backings.h"
#include "boot.h"
#include "channel.h"
#include "stranger.h"
#include "vcpu.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ull
#define CLOCK_BYTES 12
#define SLACK 4096 /* bytes after a bitmap in which a kernel that writes too much is seen */
#define FULL_CHECK 64 /* vectors */
#define SMALL_BITMAP 65536
#define LARGE_PAGES (1ull << 20)
#define LARGEST_BITMAP (1ull << 30)
#define UNWRITTEN 0xa6 /* a bitmap byte before the kernel writes it */

/* The results of the vector that runs, as they are sent. */
static uint8_t *results;
static size_t results_length, results_room;

/* How a vector ends before its last step. */
static jmp_buf give_up;
static enum frame give_up_kind;
static char give_up_text[512];

static void leave(enum frame kind, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
static void leave(enum frame kind, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(give_up_text, sizeof(give_up_text), format, arguments);
	va_end(arguments);
	give_up_kind = kind;
	longjmp(give_up, 1);
}

static void append(const void *bytes, size_t length)
{
	if (results_length + length > results_room) {
		results_room = 2 * (results_length + length) + 4096;
		results = realloc(results, results_room);
		if (results == NULL)
			fatal("no memory for results");
	}
	memcpy(results + results_length, bytes, length);
	results_length += length;
}

static void answer(enum result kind, uint8_t stopped, uint32_t count, const uint64_t *values)
{
	struct result_header header = { (uint8_t)kind, stopped, 0, count };

	append(&header, sizeof(header));
	append(values, count * sizeof(*values));
}

static void answer_errno(int error)
{
	uint64_t value = (uint64_t)error;

	answer(error == 0 ? DONE : REFUSED, 0, error == 0 ? 0 : 1, &value);
}

/* Ask from this process, or from the stranger, which has an address space of its own. 0 or an errno. */
static int call(const struct flat_step *step, int fd, unsigned long request, void *argument)
{
	if (!(step->bits & READABLE))
		argument = nowhere();
	if (step->bits & FROM_OWNER)
		return ask(fd, request, argument);
	int error = stranger_ask(fd, request, argument, _IOC_SIZE(request));
	if (error < 0)
		leave(ERRORED, "the process that is to ask in this one's place is lost");
	return error;
}

static int other_vms_file(struct vm *vm)
{
	if (vm->other_vm_fd < 0) {
		vm->other_vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
		if (vm->other_vm_fd < 0)
			leave(ERRORED, "no second VM: %s", strerror(errno));
		struct guest_memfd create = { .size = 1ull << 30 };
		vm->other_file_fd = ioctl(vm->other_vm_fd, CREATE_GUEST_MEMFD, &create);
	}
	return vm->other_file_fd;
}

/* The descriptor that a file number of a vector stands for. */
static int descriptor_of(struct vm *vm, int32_t file)
{
	if (file == -2) {
		if (vm->plain_file_fd < 0)
			vm->plain_file_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		return vm->plain_file_fd;
	}
	if (file == -3)
		return other_vms_file(vm);
	if (file >= 0 && file < FILES && vm->files[file] >= 0)
		return vm->files[file];
	/* Numbers that no process has open. */
	return file < 0 ? -1 : 0x40000000 + file;
}

static void set_region(struct vm *vm, const struct flat_step *step)
{
	struct region2 region;
	unsigned long request = step->bits & SECOND_FORM ? SET_REGION2 : KVM_SET_USER_MEMORY_REGION;

	memset(&region, 0, sizeof(region));
	region.slot = step->slot;
	region.flags = (uint32_t)step->v[0];
	region.gpa = step->v[1];
	region.size = step->v[2];
	region.hva = step->v[3];
	region.memfd_offset = step->v[4];
	region.memfd = (uint32_t)-1;
	/* Files are only made where they are looked at. */
	if (step->bits & SECOND_FORM && region.flags & REGION_GUEST_MEMFD)
		region.memfd = (uint32_t)descriptor_of(vm, step->file);
	int error = vcpu_take_code_out(vm);
	if (error != 0)
		leave(ERRORED, "the page of guest code cannot be taken out: %s", strerror(error));
	error = call(step, vm->fd, request, &region);
	if (error == 0) {
		remember(step->slot, region.gpa, region.size, region.hva);
		backings_mark(region.hva, region.size);
	}
	answer_errno(error);
}

static void create_memfd(struct vm *vm, const struct flat_step *step)
{
	struct guest_memfd create = { .size = step->v[0], .flags = step->v[1] };

	if (step->file < 0 || step->file >= FILES || vm->files[step->file] >= 0)
		leave(SKIPPED, "file number %d: this harness has 0 to %d, each once", step->file, FILES - 1);
	if (!(step->bits & FROM_OWNER) || !(step->bits & READABLE)) {
		answer_errno(call(step, vm->fd, CREATE_GUEST_MEMFD, &create));
		return;
	}
	int fd = ioctl(vm->fd, CREATE_GUEST_MEMFD, &create);
	if (fd >= 0)
		vm->files[step->file] = fd;
	answer_errno(fd < 0 ? errno : 0);
}

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

static void answer_bitmap(const uint8_t *buffer, uint64_t room)
{
	uint64_t written = room;

	while (written > 0 && buffer[written - 1] == UNWRITTEN)
		written--;
	numbers_used = 0;
	add_number(written);
	for (uint64_t byte = 0; byte < written; byte++)
		for (unsigned bit = 0; buffer[byte] >> bit != 0; bit++)
			if (buffer[byte] >> bit & 1)
				add_page(8 * byte + bit);
	answer(DIRTY_PAGES, 0, numbers_used, numbers);
}

static void get_dirty_log(struct vm *vm, const struct flat_step *step)
{
	const struct known_slot *slot = known(step->slot);
	uint64_t expected = slot == NULL ? 0 : (slot->size / PAGE + 63) / 64 * 8;
	uint64_t room = expected + SLACK;
	uint8_t *buffer = bitmap_buffer(room);
	struct kvm_dirty_log log = { .slot = step->slot };

	memset(buffer, UNWRITTEN, room);
	log.dirty_bitmap = step->bits & BUFFER_OK ? buffer : nowhere();
	int error = call(step, vm->fd, KVM_GET_DIRTY_LOG, &log);
	if (error != 0)
		answer_errno(error);
	else
		answer_bitmap(buffer, room);
	release_bitmap(buffer, room);
}

static void clear_dirty_log(struct vm *vm, const struct flat_step *step)
{
	uint64_t length = (step->v[1] + 63) / 64 * 8;
	uint8_t *buffer = bitmap_buffer(length);
	const uint64_t *ranges = (const uint64_t *)(step + 1);
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

static void enable_cap(struct vm *vm, const struct flat_step *step, uint32_t cap, uint32_t flags)
{
	struct kvm_enable_cap enable;

	memset(&enable, 0, sizeof(enable));
	enable.cap = cap;
	enable.flags = flags;
	enable.args[0] = step->v[0];
	answer_errno(call(step, vm->fd, KVM_ENABLE_CAP, &enable));
}

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

static void guest_write(struct vm *vm, const struct flat_step *step)
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

static void vcpu_step(struct vm *vm, const struct flat_step *step, bool write)
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

static void run_step(struct vm *vm, const struct flat_step *step)
{
	switch (step->operation) {
	case SET_REGION:
		set_region(vm, step);
		return;
	case CREATE_MEMFD:
		create_memfd(vm, step);
		return;
	case GET_DIRTY_LOG:
		get_dirty_log(vm, step);
		return;
	case CLEAR_DIRTY_LOG:
		clear_dirty_log(vm, step);
		return;
	case MANUAL_PROTECT:
		enable_cap(vm, step, CAP_MANUAL_PROTECT2, (uint32_t)step->v[1]);
		return;
	case DIRTY_RING:
		enable_cap(vm, step, CAP_DIRTY_LOG_RING, 0);
		return;
	case GUEST_WRITE:
		guest_write(vm, step);
		return;
	case VCPU_READ:
		vcpu_step(vm, step, false);
		return;
	case VCPU_WRITE:
		vcpu_step(vm, step, true);
		return;
	default:
		answer(UNOBSERVABLE, 0, 0, NULL);
	}
}

/* What a vector came to, with the VM that it leaves behind. */
struct finished {
	struct vm vm;
	enum frame kind;
	uint32_t index;
	void *payload;
	size_t length;
};

/* A ring of finished vectors between the thread that runs them and those that take their VMs down. */
#define CLOSERS 8
static struct finished waiting[CLOSERS];
static unsigned put, taken, gone; /* counted up for ever */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool beside;

static void take_down(struct finished *one)
{
	vm_close(&one->vm);
	pthread_mutex_lock(&lock);
	send_frame(one->kind, one->index, one->payload, one->length);
	pthread_mutex_unlock(&lock);
	free(one->payload);
}

static void *closer(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	for (;;) {
		while (taken == put)
			pthread_cond_wait(&changed, &lock);
		struct finished one = waiting[taken++ % CLOSERS];
		pthread_mutex_unlock(&lock);
		take_down(&one);
		pthread_mutex_lock(&lock);
		gone++;
		pthread_cond_broadcast(&changed);
	}
	return NULL;
}

/* Wait until fewer than this many VMs are being taken down. */
static void wait_for_closers(unsigned fewer_than)
{
	pthread_mutex_lock(&lock);
	while (put - gone >= fewer_than)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

void run_start(bool one_by_one)
{
	beside = !one_by_one;
	stranger_start();
	for (int i = 0; beside && i < CLOSERS; i++) {
		pthread_t thread;
		int error = pthread_create(&thread, NULL, closer, NULL);

		if (error != 0)
			fatal("no thread: %s", strerror(error));
	}
}

void run_finish(void)
{
	wait_for_closers(1);
}

static void finish(struct finished *one, bool large)
{
	if (!beside) {
		take_down(one);
		return;
	}
	wait_for_closers(CLOSERS);
	pthread_mutex_lock(&lock);
	waiting[put++ % CLOSERS] = *one;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	/* What a huge slot held must be free again before the next vector asks for memory. */
	if (large)
		wait_for_closers(1);
}

/* Run the steps; how the vector ends is left in give_up_kind, give_up_text and the results. */
static void run_steps(struct vm *vm, const struct flat_vector *vector)
{
	const uint8_t *next = (const uint8_t *)(vector + 1) + vector->id_bytes;

	for (uint32_t number = 0; number < vector->steps; number++) {
		const struct flat_step *step = (const struct flat_step *)next;

		run_step(vm, step);
		next += sizeof(*step) + (size_t)step->ranges * 16;
	}
}

static bool touches_memory(const struct flat_vector *vector)
{
	const uint8_t *next = (const uint8_t *)(vector + 1) + vector->id_bytes;

	for (uint32_t number = 0; number < vector->steps; number++) {
		const struct flat_step *step = (const struct flat_step *)next;

		if (step->operation >= GUEST_WRITE && step->operation <= VCPU_WRITE)
			return true;
		next += sizeof(*step) + (size_t)step->ranges * 16;
	}
	return false;
}

void run_vector(const struct flat_vector *vector)
{
	static struct finished one;

	pthread_mutex_lock(&lock);
	send_frame(BEGIN, vector->index, NULL, 0);
	pthread_mutex_unlock(&lock);
	misbehave_at(vector->index);
	results_length = 0;
	give_up_kind = RESULTS;
	int error = vm_open(&one.vm);
	if (error != 0) {
		give_up_kind = ERRORED;
		snprintf(give_up_text, sizeof(give_up_text), "no VM: %s", strerror(error));
	} else if (setjmp(give_up) == 0) {
		run_steps(&one.vm, vector);
	}
	/* All of the backings only now and then: nothing but a broken kernel reaches beyond the slots of a vector. */
	static unsigned vectors;
	uint64_t wild = touches_memory(vector) ? backings_check(++vectors % FULL_CHECK == 0) : 0;
	if (wild != 0 && give_up_kind == RESULTS) {
		give_up_kind = ERRORED;
		snprintf(give_up_text, sizeof(give_up_text),
			 "host memory changed where no step had it changed, here or in a vector shortly before: 0x%llx", (unsigned long long)wild);
	}
	one.index = vector->index;
	one.kind = give_up_kind;
	one.length = give_up_kind == RESULTS ? results_length : strlen(give_up_text);
	one.payload = malloc(one.length + 1);
	if (one.payload == NULL)
		fatal("no memory for results");
	memcpy(one.payload, give_up_kind == RESULTS ? (const void *)results : give_up_text, one.length);
	bool large = known_pages() > LARGE_PAGES;
	forget_all();
	finish(&one, large);
}
