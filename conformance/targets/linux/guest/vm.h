/* One virtual machine for one vector: its descriptors, and what this program itself remembers of its slots. */
#ifndef GPASPEC_VM_H
#define GPASPEC_VM_H

#include "kvm_api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILES 256

struct known_slot {
	bool used;
	uint64_t gpa, size, hva;
};

struct vm {
	int fd;
	int other_vm_fd, other_file_fd; /* a guest memory file of another VM; -1 until asked for */
	int plain_file_fd;		/* an open file that is no guest memory; -1 until asked for */
	int files[FILES];		/* guest memory files, -1 where there is none */
	int vcpu_fd;
	struct kvm_run *run;
	bool has_code; /* a slot of ours with the page of guest code */
	uint32_t code_slot;
	uint64_t code_gpa;
};

extern int kvm_fd;
extern unsigned user_slots; /* slot numbers that the kernel says it offers */

void kvm_open(void);

/* Make a VM or close it; vm_open returns 0 or an errno. */
int vm_open(struct vm *vm);
void vm_close(struct vm *vm);

/* An address that is never mapped, for pointers that lead nowhere. */
void *nowhere(void);

/*
 * What was accepted so far. It chooses no answer: it finds room for the page of guest code, the size of bitmap buffers, and
 * the reason for which an access cannot be observed.
 */
void remember(uint32_t slot, uint64_t gpa, uint64_t size, uint64_t hva);
void forget_all(void);
uint64_t known_pages(void); /* of the largest slot since forget_all */
const struct known_slot *known(uint32_t slot);
const struct known_slot *known_at(uint64_t gpa);

/*
 * A free slot number and `length` bytes of free guest memory below `limit` that leave out the page of `avoid`.
 * False when there is no room.
 */
bool find_room(uint64_t length, uint64_t limit, uint64_t avoid, uint32_t *slot, uint64_t *gpa);

/* ioctl that returns 0 or an errno. */
int ask(int fd, unsigned long request, void *argument);

#endif
