/* The part of the KVM interface that older <linux/kvm.h> do not have yet. */
#ifndef GPASPEC_KVM_API_H
#define GPASPEC_KVM_API_H

#include <linux/kvm.h>
#include <stdint.h>

/* KVM_SET_USER_MEMORY_REGION2, from Linux 6.8. */
struct region2 {
	uint32_t slot, flags;
	uint64_t gpa, size, hva;
	uint64_t memfd_offset;
	uint32_t memfd, pad1;
	uint64_t pad2[14];
};
#define SET_REGION2 _IOW(KVMIO, 0x49, struct region2)

/* KVM_CREATE_GUEST_MEMFD, from Linux 6.8. */
struct guest_memfd {
	uint64_t size, flags, reserved[6];
};
#define CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct guest_memfd)

#define REGION_LOG_DIRTY 1u
#define REGION_READONLY 2u
#define REGION_GUEST_MEMFD 4u

#define CAP_MANUAL_PROTECT2 168
#define CAP_DIRTY_LOG_RING 192
#define EXIT_DIRTY_RING_FULL 31

#endif
