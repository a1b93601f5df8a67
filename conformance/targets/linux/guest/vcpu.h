/* A virtual CPU that runs one access of real guest code, and the wall clock that the kernel writes for a guest. */
#ifndef GPASPEC_VCPU_H
#define GPASPEC_VCPU_H

#include "vm.h"

#define REASON_BYTES 256

enum access_end {
	REACHED,     /* memory: the access went through */
	LEFT,	     /* MMIO: `gpa` is the exact address */
	NO_HOST,     /* KVM_RUN failed: `error` is the errno */
	UNSUPPORTED, /* cannot be done here: `reason` */
	BROKEN,	     /* something that no access should give: `reason` */
};

struct access {
	enum access_end end;
	uint64_t gpa;
	uint32_t word; /* of a read: the aligned word around the byte */
	int error;
	char reason[REASON_BYTES];
};

/* Make the virtual CPU unless it is there. 0 or an errno. */
int vcpu_make(struct vm *vm);

/* Guest code reads the byte at gpa, or writes `value` there. */
struct access vcpu_access(struct vm *vm, uint64_t gpa, bool write, uint8_t value);

/*
 * Take the slot with the page of guest code out, before the vector changes its slots. It is left in between two accesses:
 * taking a slot out makes the kernel forget its page tables, and a later access would find it in another state. 0 or an errno.
 */
int vcpu_take_code_out(struct vm *vm);

/* Have the kernel write its 12 bytes of wall clock at gpa (not 0). 0 or an errno; whether it did write is to be seen. */
int wall_clock_write(struct vm *vm, uint64_t gpa);

#endif
