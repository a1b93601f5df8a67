#include "slot_steps.h"

#include "backings.h"
#include "step.h"
#include "vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

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

void set_region(struct vm *vm, const struct flat_step *step)
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

void create_memfd(struct vm *vm, const struct flat_step *step)
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

void enable_cap(struct vm *vm, const struct flat_step *step, uint32_t cap, uint32_t flags)
{
	struct kvm_enable_cap enable;

	memset(&enable, 0, sizeof(enable));
	enable.cap = cap;
	enable.flags = flags;
	enable.args[0] = step->v[0];
	answer_errno(call(step, vm->fd, KVM_ENABLE_CAP, &enable));
}
