#include "probe.h"

#include "channel.h"
#include "probe_device.h"
#include "vm.h"

#include <cpuid.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PAGE 4096ull

static char hello[4096];

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	size_t used = strlen(hello);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(hello + used, sizeof(hello) - used, format, arguments);
	va_end(arguments);
}

/* Set a page-sized region and take it out again: 0 or the errno. */
static int try_region(struct vm *vm, uint32_t slot, uint64_t gpa, uint64_t hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = PAGE, .userspace_addr = hva
	};
	int error = ask(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);

	if (error == 0) {
		region.memory_size = 0;
		region.guest_phys_addr = region.userspace_addr = 0;
		if (ask(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) != 0)
			fatal("a slot that was made cannot be deleted");
	}
	return error;
}

static bool takes_hva(struct vm *vm, uint64_t page)
{
	return try_region(vm, 0, 0, page * PAGE) == 0;
}

static bool takes_gfn(struct vm *vm, uint64_t page)
{
	return try_region(vm, 0, page * PAGE, 0) == 0;
}

static bool takes_slot(struct vm *vm, uint64_t slot)
{
	return try_region(vm, (uint32_t)slot, 0, 0) == 0;
}

static bool takes_space(struct vm *vm, uint64_t space)
{
	return try_region(vm, (uint32_t)space << 16, 0, 0) == 0;
}

/* The last number in 0..highest that is taken, if 0 is and there is one border; 2^64 - 1 if not even 0 is. */
static uint64_t last_taken(struct vm *vm, bool (*takes)(struct vm *, uint64_t), uint64_t highest)
{
	uint64_t low = 0, high = highest;

	if (!takes(vm, 0))
		return UINT64_MAX;
	if (takes(vm, highest))
		return highest;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (takes(vm, middle))
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void probe_limits(struct vm *vm)
{
	const uint64_t last_page = (1ull << 52) - 2; /* the last one that does not wrap */
	uint64_t slots = last_taken(vm, takes_slot, 0xffff) + 1;
	uint64_t spaces = last_taken(vm, takes_space, 0xffff) + 1;
	uint64_t user_pages = last_taken(vm, takes_hva, last_page) + 1;
	uint64_t gfn = last_taken(vm, takes_gfn, last_page);

	if (slots == 0)
		fatal("not even slot 0 at guest address 0 is accepted");
	say("user_slots=%llu\n", (unsigned long long)slots);
	say("address_spaces=%llu\n", (unsigned long long)spaces);
	say("user_limit=%llu\n", (unsigned long long)(user_pages * PAGE));
	if (gfn == last_page)
		say("max_gfn=none\n");
	else
		say("max_gfn=%llu\n", (unsigned long long)gfn);
	say("fact.kvm_cap_nr_memslots=%u\n", user_slots);
	say("fact.kvm_cap_multi_address_space=%d\n", ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MULTI_ADDRESS_SPACE));
}

/* Bind a guest memory file to a slot: 0 or the errno. */
static int bind_file(struct vm *vm, uint32_t slot, uint64_t gpa, int fd)
{
	struct region2 region = { .slot = slot, .flags = REGION_GUEST_MEMFD, .gpa = gpa, .size = PAGE, .memfd = (uint32_t)fd };

	return ask(vm->fd, SET_REGION2, &region);
}

static void probe_files(struct vm *vm)
{
	struct region2 nothing = { .slot = 0, .size = 0 };
	struct guest_memfd create = { .size = PAGE };
	const char *files = "absent", *rebind = "EEXIST";

	/* It fails one way or the other: there is no slot to delete. */
	say("region2=%d\n", ask(vm->fd, SET_REGION2, &nothing) != ENOTTY);
	int fd = ioctl(vm->fd, CREATE_GUEST_MEMFD, &create);
	if (fd >= 0) {
		files = "create_only";
		rebind = "EINVAL";
		if (bind_file(vm, 0, 0, fd) == 0) {
			files = "bind";
			int error = bind_file(vm, 1, PAGE, fd);

			rebind = error == EEXIST ? "EEXIST" : error == EINVAL ? "EINVAL" : strerror(error);
		}
		close(fd);
	} else if (errno != ENOTTY) {
		fatal("KVM_CREATE_GUEST_MEMFD fails unexpectedly: %s", strerror(errno));
	}
	say("guest_memfd=%s\nmemfd_rebind_errno=%s\n", files, rebind);
}

static void probe_ring(void)
{
	uint64_t smallest = 0;

	for (uint64_t size = PAGE; size <= 1u << 20 && smallest == 0; size *= 2) {
		struct kvm_enable_cap enable;
		struct vm vm;

		memset(&enable, 0, sizeof(enable));
		enable.cap = CAP_DIRTY_LOG_RING;
		enable.args[0] = size;
		int error = vm_open(&vm);
		if (error != 0)
			fatal("no VM: %s", strerror(error));
		if (ask(vm.fd, KVM_ENABLE_CAP, &enable) == 0)
			smallest = size;
		vm_close(&vm);
	}
	say("dirty_ring=%d\nsmallest_dirty_ring=%llu\n", smallest != 0, (unsigned long long)(smallest ? smallest : PAGE));
}

static void say_facts(void)
{
	unsigned a, b, c, d;
	struct utsname name;

	if (uname(&name) == 0)
		say("fact.kernel=%s %s\nversion=%s\n", name.release, name.version, name.release);
	if (__get_cpuid(0x80000008, &a, &b, &c, &d))
		say("fact.cpuid_physical_bits=%u\nfact.cpuid_linear_bits=%u\n", a & 0xff, a >> 8 & 0xff);
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
		say("fact.cpuid_la57=%u\n", c >> 16 & 1);
	say("fact.page_size=%ld\n", sysconf(_SC_PAGESIZE));
	say("fact.kvm_api=%d\n", ioctl(kvm_fd, KVM_GET_API_VERSION, 0));
}

void send_hello(void)
{
	struct vm vm;
	int error = vm_open(&vm);

	if (error != 0)
		fatal("no VM can be made: %s", strerror(error));
	probe_limits(&vm);
	probe_files(&vm);
	vm_close(&vm);
	probe_ring();
	say_facts();
	probe_device(say);
	send_frame(HELLO, 0, hello, strlen(hello));
}
