#include "run.h"

#include "backings.h"
#include "channel.h"
#include "vcpu.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ull
#define CLOCK_BYTES 12
#define SLACK 4096 /* bytes after a bitmap in which a kernel that writes too much is seen */
#define SMALL_BITMAP 65536
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

/* Ask from this process, or from a forked child that has an address space of its own. 0 or an errno. */
static int call(const struct flat_step *step, int fd, unsigned long request, void *argument)
{
	if (!(step->bits & READABLE))
		argument = nowhere();
	if (step->bits & FROM_OWNER)
		return ask(fd, request, argument);

	pid_t child = fork();
	if (child < 0)
		leave(ERRORED, "no child process: %s", strerror(errno));
	if (child == 0)
		_exit(ask(fd, request, argument));
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			leave(ERRORED, "the child process is lost: %s", strerror(errno));
	if (!WIFEXITED(status))
		leave(ERRORED, "the child process died of signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
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
	int error = call(step, vm->fd, request, &region);
	if (error == 0)
		remember(step->slot, region.gpa, region.size, region.hva);
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

/* Leave the vector if the byte at gpa lives in memory that this harness did not map. */
static void need_backing(uint64_t gpa, uint64_t length)
{
	const struct known_slot *slot = known_at(gpa);

	if (slot != NULL && !backings_hold(slot->hva + (gpa - slot->gpa), length))
		leave(SKIPPED, "guest byte 0x%llx lives at host address 0x%llx, where this harness has no memory",
		      (unsigned long long)gpa, (unsigned long long)(slot->hva + (gpa - slot->gpa)));
}

static void guest_write(struct vm *vm, const struct flat_step *step)
{
	uint64_t gpa = step->v[0];
	uint32_t offset = (uint32_t)(gpa % PAGE);
	uint64_t seen[2] = { 0, 0 };

	if (gpa == 0 || step->v[1] != CLOCK_BYTES || offset > PAGE - 4 || gpa > UINT64_MAX - CLOCK_BYTES)
		leave(SKIPPED, "the kernel's wall clock is 12 bytes, never at guest address 0, its first 4 in one page");
	uint32_t lengths[2] = { CLOCK_BYTES, 0 };
	if (offset + CLOCK_BYTES > PAGE) {
		lengths[0] = (uint32_t)PAGE - offset;
		lengths[1] = CLOCK_BYTES - lengths[0];
	}
	uint32_t offsets[2] = { offset, 0 };
	uint64_t starts[2] = { gpa, gpa + lengths[0] };

	need_backing(gpa, lengths[0]);
	if (lengths[1] > 0)
		need_backing(starts[1], lengths[1]);
	int error = vcpu_make(vm);
	if (error != 0)
		leave(ERRORED, "no virtual CPU: %s", strerror(error));

	/*
	 * The kernel adds to the version it finds: all ones makes it change each of its four bytes. Any other byte that happens
	 * to be written as it was is not seen: then try again over other bytes.
	 */
	uint32_t masks[2] = { 0, 0 };
	for (unsigned attempt = 0; attempt < 8; attempt++) {
		uint8_t fill[CLOCK_BYTES];
		bool whole = true;

		memset(fill, 0xff, 4);
		memset(fill + 4, (int)(0xff - 0x25 * attempt), CLOCK_BYTES - 4);
		for (int i = 0; i < 2; i++)
			backings_fill(offsets[i], lengths[i], fill + (i == 0 ? 0 : lengths[0]));
		error = wall_clock_write(vm, gpa);
		if (error != 0)
			leave(ERRORED, "KVM_SET_MSRS of the wall clock: %s", strerror(error));
		for (int i = 0; i < 2; i++) {
			struct change change =
				backings_changed(offsets[i], lengths[i], fill + (i == 0 ? 0 : lengths[0]));

			if (change.pages > 1)
				leave(ERRORED, "one write of the wall clock changed %u pages", change.pages);
			if (change.pages == 1) {
				uint64_t page = change.host & ~(PAGE - 1);

				if (seen[i] != 0 && seen[i] != page)
					leave(ERRORED, "the same guest byte was written at two host addresses");
				seen[i] = page;
				masks[i] |= change.mask;
			}
			/* A piece of which nothing was written was not written: that is no accident. */
			whole = whole && (masks[i] == 0 || masks[i] == (1u << lengths[i]) - 1);
		}
		if (whole)
			break;
	}
	for (int i = 0; i < 2; i++)
		backings_restore(offsets[i], lengths[i]);

	uint64_t values[6];
	uint32_t count = 0;
	uint32_t done = 0;
	for (int i = 0; i < 2; i++) {
		if (masks[i] == 0)
			continue;
		uint32_t first = (uint32_t)__builtin_ctz(masks[i]), last = 31 - (uint32_t)__builtin_clz(masks[i]);

		values[count++] = starts[i] + first;
		values[count++] = starts[i] + last;
		values[count++] = seen[i] + offsets[i] + first;
		done += (uint32_t)__builtin_popcount(masks[i]);
	}
	answer(WRITTEN, done < CLOCK_BYTES, count, values);
}

static void vcpu_step(struct vm *vm, const struct flat_step *step, bool write)
{
	uint64_t gpa = step->v[0];
	uint32_t offset = (uint32_t)(gpa % PAGE);

	need_backing(gpa, 1);
	struct access access = vcpu_access(vm, gpa, write, backings_new_byte(offset));
	struct change change = write ? backings_changed(offset, 1, NULL) : (struct change){ 0, 0, 0 };
	if (change.pages > 0)
		backings_restore(offset, 1);

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

void run_vector(const struct flat_vector *vector)
{
	static struct vm vm;
	static bool touches_memory;

	results_length = 0;
	touches_memory = false;
	int error = vm_open(&vm);
	if (error != 0) {
		send_text(ERRORED, vector->index, "no VM: %s", strerror(error));
		return;
	}
	if (setjmp(give_up) == 0) {
		const uint8_t *next = (const uint8_t *)(vector + 1) + vector->id_bytes;

		give_up_kind = RESULTS;
		for (uint32_t number = 0; number < vector->steps; number++) {
			const struct flat_step *step = (const struct flat_step *)next;

			touches_memory |= step->operation >= GUEST_WRITE && step->operation <= VCPU_WRITE;
			run_step(&vm, step);
			next += sizeof(*step) + (size_t)step->ranges * 16;
		}
	}
	vm_close(&vm);
	uint64_t wild = touches_memory ? backings_check_all() : 0;
	if (wild != 0 && give_up_kind == RESULTS)
		send_text(ERRORED, vector->index, "host memory changed where no step had it changed: 0x%llx",
			  (unsigned long long)wild);
	else if (give_up_kind == RESULTS)
		send_frame(RESULTS, vector->index, results, results_length);
	else
		send_text(give_up_kind, vector->index, "%s", give_up_text);
}
