#include "vcpu.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGE 4096ull
#define MSR_WALL_CLOCK 0x11
/* Where in the page of guest code its two programs are. */
#define READING 0
#define WRITING 64
#define REAL_MODE_LIMIT (1ull << 32)

int vcpu_make(struct vm *vm)
{
	static long run_size;

	if (vm->vcpu_fd >= 0)
		return 0;
	if (run_size == 0)
		run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->vcpu_fd = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu_fd < 0)
		return errno;
	void *run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
	if (run == MAP_FAILED)
		return errno;
	vm->run = run;
	return 0;
}

int wall_clock_write(struct vm *vm, uint64_t gpa)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs;

	memset(&msrs, 0, sizeof(msrs));
	msrs.head.nmsrs = 1;
	msrs.entry.index = MSR_WALL_CLOCK;
	msrs.entry.data = gpa;
	int done = ioctl(vm->vcpu_fd, KVM_SET_MSRS, &msrs);
	return done == 1 ? 0 : done < 0 ? errno : EIO;
}

static struct access broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
static struct access broken(const char *format, ...)
{
	struct access access = { .end = BROKEN };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(access.reason, sizeof(access.reason), format, arguments);
	va_end(arguments);
	return access;
}

static void real_mode_segment(struct kvm_segment *segment, uint64_t base, bool code)
{
	*segment = (struct kvm_segment){
		.base = base,
		.limit = 0xffff,
		.selector = (uint16_t)(base >> 4),
		.type = code ? 11 : 3,
		.present = 1,
		.s = 1,
	};
}

/* Put the virtual CPU before the first instruction, as it is after a reset but for where code and data are. */
static int prepare(struct vm *vm, uint64_t code, uint64_t page, uint64_t entry, uint32_t offset, uint8_t value)
{
	struct kvm_sregs sregs;
	int error = ask(vm->vcpu_fd, KVM_GET_SREGS, &sregs);

	if (error != 0)
		return error;
	real_mode_segment(&sregs.cs, code, true);
	real_mode_segment(&sregs.ds, page, false);
	error = ask(vm->vcpu_fd, KVM_SET_SREGS, &sregs);
	if (error != 0)
		return error;
	struct kvm_regs regs = { .rip = entry, .rflags = 2, .rax = value, .rbx = offset, .rsi = offset & ~3u };
	return ask(vm->vcpu_fd, KVM_SET_REGS, &regs);
}

static int run_vcpu(struct vm *vm)
{
	for (;;) {
		int error = ask(vm->vcpu_fd, KVM_RUN, NULL);

		if (error != EINTR)
			return error;
	}
}

/* What the run of the code at `code` came to. */
static struct access outcome_of_run(struct vm *vm, uint64_t gpa, bool write)
{
	int error = run_vcpu(vm);
	struct kvm_run *run = vm->run;

	if (error != 0)
		return (struct access){ .end = NO_HOST, .error = error };
	if (run->exit_reason == KVM_EXIT_MMIO) {
		struct access access = { .end = LEFT, .gpa = run->mmio.phys_addr };

		if (run->mmio.len != 1 || run->mmio.is_write != write)
			return broken("MMIO of %u bytes, write %u, for a %s of one byte at 0x%llx", run->mmio.len,
				      run->mmio.is_write, write ? "write" : "read", (unsigned long long)gpa);
		/* Let the kernel finish the instruction, and stop before the next. */
		run->immediate_exit = 1;
		ask(vm->vcpu_fd, KVM_RUN, NULL);
		run->immediate_exit = 0;
		return access;
	}
	if (run->exit_reason == KVM_EXIT_HLT) {
		struct kvm_regs regs;

		error = ask(vm->vcpu_fd, KVM_GET_REGS, &regs);
		if (error != 0)
			return broken("KVM_GET_REGS: %s", strerror(error));
		return (struct access){ .end = REACHED, .word = (uint32_t)regs.rcx };
	}
	if (run->exit_reason == EXIT_DIRTY_RING_FULL) {
		struct access full = broken("the dirty ring is full");

		full.end = UNSUPPORTED;
		return full;
	}
	return broken("KVM_RUN ended with exit reason %u (internal error %u)", run->exit_reason,
		      run->exit_reason == KVM_EXIT_INTERNAL_ERROR ? run->internal.suberror : 0);
}

static uint8_t *code_page(void)
{
	static uint8_t *page;

	if (page == NULL && posix_memalign((void **)&page, PAGE, PAGE) != 0)
		page = NULL;
	return page;
}

static int set_code_region(struct vm *vm, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = vm->code_slot,
		.guest_phys_addr = vm->code_gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)code_page(),
	};

	return ask(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

int vcpu_take_code_out(struct vm *vm)
{
	if (!vm->has_code)
		return 0;
	vm->has_code = false;
	return set_code_region(vm, 0);
}

/* Have the page of guest code in a slot that is not in the way of an access to gpa. */
static struct access put_code_in(struct vm *vm, uint64_t gpa)
{
	struct access fine = { .end = REACHED };

	if (vm->has_code && gpa / PAGE != vm->code_gpa / PAGE)
		return fine;
	int error = vcpu_take_code_out(vm);
	if (error != 0)
		return broken("the page of guest code cannot be taken out: %s", strerror(error));
	/* Below the local APIC and the last megabytes, which some machines keep for themselves. */
	if (!find_room(PAGE, 0xe0000000ull, gpa, &vm->code_slot, &vm->code_gpa)) {
		struct access full = broken("no slot number or no guest page is left for the page of guest code");

		full.end = UNSUPPORTED;
		return full;
	}
	error = set_code_region(vm, PAGE);
	if (error != 0)
		return broken("no slot for the page of guest code at 0x%llx: %s", (unsigned long long)vm->code_gpa,
			      strerror(error));
	vm->has_code = true;
	return fine;
}

struct access vcpu_access(struct vm *vm, uint64_t gpa, bool write, uint8_t value)
{
	static const uint8_t reading[] = { 0x8a, 0x07,	     /* mov al,[bx]: the access */
					   0x66, 0x8b, 0x0c, /* mov ecx,[si]: the word around it says where that was */
					   0xf4 };
	static const uint8_t writing[] = { 0x88, 0x07, 0xf4 }; /* mov [bx],al; hlt */

	if (gpa >= REAL_MODE_LIMIT) {
		struct access far = broken("guest code of this harness reaches only the first 4 GiB of guest memory");

		far.end = UNSUPPORTED;
		return far;
	}
	if (code_page() == NULL)
		return broken("no memory for the page of guest code");
	memcpy(code_page() + READING, reading, sizeof(reading));
	memcpy(code_page() + WRITING, writing, sizeof(writing));
	int error = vcpu_make(vm);
	if (error != 0)
		return broken("no virtual CPU: %s", strerror(error));
	struct access ready = put_code_in(vm, gpa);
	if (ready.end != REACHED)
		return ready;
	error = prepare(vm, vm->code_gpa, gpa & ~(PAGE - 1), write ? WRITING : READING, (uint32_t)(gpa % PAGE), value);
	if (error != 0)
		return broken("the virtual CPU cannot be set up: %s", strerror(error));
	return outcome_of_run(vm, gpa, write);
}
