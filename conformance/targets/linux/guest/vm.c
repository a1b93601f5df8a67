#include "vm.h"

#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int kvm_fd = -1;
unsigned user_slots;

/* Two address spaces are as many as x86 has. */
#define KEYS (2u << 16)
static struct known_slot table[KEYS];
static uint32_t keys[KEYS]; /* those that were used since the last forget_all */
static uint32_t keys_used;
static uint64_t most_pages; /* of one slot */

static uint32_t key_of(uint32_t slot)
{
	return slot % KEYS;
}

int ask(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) < 0 ? errno : 0;
}

void kvm_open(void)
{
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0)
		fatal("/dev/kvm cannot be opened: %s", strerror(errno));
	int slots = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
	if (slots <= 0)
		fatal("KVM_CAP_NR_MEMSLOTS is %d", slots);
	user_slots = (unsigned)slots;
}

void *nowhere(void)
{
	static void *page;

	if (page == NULL) {
		/* Large enough that no buffer which starts here reaches anything mapped. */
		page = mmap(NULL, 1ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (page == MAP_FAILED)
			fatal("no address space is left");
	}
	return page;
}

int vm_open(struct vm *vm)
{
	*vm = (struct vm){ .fd = -1, .other_vm_fd = -1, .other_file_fd = -1, .plain_file_fd = -1, .vcpu_fd = -1 };
	for (int file = 0; file < FILES; file++)
		vm->files[file] = -1;
	vm->fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	return vm->fd < 0 ? errno : 0;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void vm_close(struct vm *vm)
{
	if (vm->run != NULL)
		munmap(vm->run, (size_t)ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0));
	close_if_open(vm->vcpu_fd);
	for (int file = 0; file < FILES; file++)
		close_if_open(vm->files[file]);
	close_if_open(vm->other_file_fd);
	close_if_open(vm->other_vm_fd);
	close_if_open(vm->plain_file_fd);
	close_if_open(vm->fd);
	vm->run = NULL;
}

void remember(uint32_t slot, uint64_t gpa, uint64_t size, uint64_t hva)
{
	uint32_t key = key_of(slot);
	bool listed = table[key].size != 0 || table[key].hva != 0 || table[key].gpa != 0 || table[key].used;

	if (size == 0) {
		table[key].used = false;
		return;
	}
	if (!listed)
		keys[keys_used++] = key;
	table[key] = (struct known_slot){ true, gpa, size, hva };
	if (size / 4096 > most_pages)
		most_pages = size / 4096;
}

void forget_all(void)
{
	most_pages = 0;
	while (keys_used > 0)
		table[keys[--keys_used]] = (struct known_slot){ false, 0, 0, 0 };
}

uint64_t known_pages(void)
{
	return most_pages;
}

const struct known_slot *known(uint32_t slot)
{
	return table[key_of(slot)].used ? &table[key_of(slot)] : NULL;
}

/* The slot of address space 0 that has a byte of gpa..gpa+length-1. */
static const struct known_slot *known_between(uint64_t gpa, uint64_t length)
{
	for (uint32_t i = 0; i < keys_used; i++) {
		const struct known_slot *slot = &table[keys[i]];

		if (keys[i] < 65536 && slot->used && gpa <= slot->gpa + (slot->size - 1) &&
		    slot->gpa <= gpa + (length - 1))
			return slot;
	}
	return NULL;
}

const struct known_slot *known_at(uint64_t gpa)
{
	return known_between(gpa, 1);
}

bool find_room(uint64_t length, uint64_t limit, uint64_t avoid, uint32_t *slot, uint64_t *gpa)
{
	uint32_t number = user_slots;
	uint64_t at = limit - length;

	do {
		if (number-- == 0)
			return false;
	} while (known(number) != NULL);
	avoid &= ~4095ull;
	for (;;) {
		const struct known_slot *taken = known_between(at, length);
		uint64_t before;

		if (taken != NULL)
			before = taken->gpa;
		else if (avoid < at + length && at <= avoid + 4095)
			before = avoid;
		else
			break;
		if (before < length)
			return false;
		at = before - length;
	}
	*slot = number;
	*gpa = at;
	return true;
}
