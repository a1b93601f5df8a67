/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a guest notice a KVM_SET_USER_MEMORY_REGION that fails?
 *
 * One thread asks again and again to move a slot past the physical address limit, which the kernel refuses with EINVAL.
 * Meanwhile a virtual CPU reads the slot's memory in a loop. As the call changes nothing, the guest should never miss
 * its memory. It does: each refused move first replaces the slot by an INVALID copy, and a read at that moment leaves to
 * userspace as MMIO (virt/kvm/kvm_main.c kvm_set_memslot, arch/x86/kvm/x86.c kvm_arch_prepare_memory_region).
 *
 *     gcc -O1 -static -pthread -o failed_move failed_move.c && ./failed_move
 *
 * Ends after two seconds or 20 MMIO exits. Exit status: 0 the guest noticed nothing, 1 it did, 2 it could not be tried
 * (no /dev/kvm; or a kernel without that limit, such as 5.10, which moves the slot). Two processors are needed to see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 0x1000ull
#define CODE_GPA 0x1000ull
#define DATA_GPA 0x10000ull
#define DATA_SIZE (16 * PAGE)
#define PAST_ANY_LIMIT (1ull << 52)

static int vm;
static uint8_t *memory;
static volatile sig_atomic_t stop;
static unsigned long refused;

static int set_region(uint32_t slot, uint64_t gpa, uint64_t size, void *host)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = size, .userspace_addr = (uintptr_t)host
	};

	return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) == 0 ? 0 : errno;
}

static int move_past_the_limit(void)
{
	return set_region(1, PAST_ANY_LIMIT, DATA_SIZE, memory + PAGE);
}

static void *mover(void *unused)
{
	(void)unused;
	while (!stop) {
		if (move_past_the_limit() != EINVAL) {
			fprintf(stderr, "a move that was refused before is not any more\n");
			exit(2);
		}
		refused++;
	}
	return NULL;
}

static void on_alarm(int signal_number)
{
	(void)signal_number;
	stop = 1;
}

int main(void)
{
	/* read the first byte of the data segment, for ever */
	static const uint8_t code[] = { 0xa0, 0x00, 0x00, 0xeb, 0xfb };
	unsigned long missed = 0;
	pthread_t thread;
	int kvm = open("/dev/kvm", O_RDWR);

	vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	memory = mmap(NULL, PAGE + DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (vm < 0 || memory == MAP_FAILED) {
		perror("/dev/kvm");
		return 2;
	}
	memcpy(memory, code, sizeof(code));
	if (set_region(0, CODE_GPA, PAGE, memory) || set_region(1, DATA_GPA, DATA_SIZE, memory + PAGE))
		return 2;
	if (move_past_the_limit() != EINVAL) {
		fprintf(stderr, "this kernel does not refuse a slot past 2^52\n");
		return 2;
	}

	int cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	size_t run_size = (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	struct kvm_sregs segments;
	struct kvm_regs registers = { .rip = 0, .rflags = 2 };

	if (run == MAP_FAILED || ioctl(cpu, KVM_GET_SREGS, &segments) < 0)
		return 2;
	segments.cs.base = CODE_GPA;
	segments.cs.selector = CODE_GPA >> 4;
	segments.ds.base = DATA_GPA;
	segments.ds.selector = DATA_GPA >> 4;
	if (ioctl(cpu, KVM_SET_SREGS, &segments) < 0 || ioctl(cpu, KVM_SET_REGS, &registers) < 0)
		return 2;

	/* The signal interrupts KVM_RUN: it is handled in this thread, without a restart. */
	struct sigaction action = { .sa_handler = on_alarm };
	sigset_t alarms;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigaction(SIGALRM, &action, NULL);
	pthread_sigmask(SIG_BLOCK, &alarms, NULL);
	if (pthread_create(&thread, NULL, mover, NULL) != 0)
		return 2;
	pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
	alarm(2);
	while (!stop && missed < 20) {
		if (ioctl(cpu, KVM_RUN, 0) < 0)
			break;
		if (run->exit_reason != KVM_EXIT_MMIO)
			break;
		if (missed++ == 0)
			printf("the guest found no memory at 0x%llx\n", (unsigned long long)run->mmio.phys_addr);
		memset(run->mmio.data, 0, sizeof(run->mmio.data));
	}
	stop = 1;
	pthread_join(thread, NULL);
	printf("%lu moves refused, the guest missed its memory %lu times\n", refused, missed);
	return missed > 0;
}
