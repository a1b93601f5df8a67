/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four things that vhost-net takes where it should not, or half takes. Each is shown by what the device does afterwards.
 *
 *     gcc -O1 -static -o vhost_edges vhost_edges.c && ./vhost_edges --here
 *
 * region   VHOST_SET_MEM_TABLE with a region of no bytes at guest address 0. Its last byte is computed as 0 + 0 - 1, so it is
 *          taken for the whole space. In 5.10 a descriptor then reaches any host memory behind the region's address; later no
 *          backend is accepted with such a table. (Any other region of no bytes is refused with EFAULT.)
 * update   5.10 only: the same through an IOTLB update of no bytes at 0, which later kernels refuse with EINVAL. There the entry
 *          has size 0 besides, and a queue whose ring it maps is counted through for ever: a soft lock-up of the kernel. So the
 *          update is made, and no queue is started.
 * ring     5.10 only: in IOTLB mode a ring that moves while it is in use (VHOST_SET_VRING_ADDR) is still read where it was,
 *          until the next IOTLB message: what was looked up for it is not forgotten.
 * log      VHOST_SET_LOG_BASE that fails because one queue objects is taken by the queues that have no backend. The second
 *          queue then logs where the call, which failed, had said.
 *
 * Run it in a virtual machine; without --here it runs only as the child of one's init. Exit status: 0 it printed
 * what it saw, 2 it could not be tried.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_ring.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE 4096ul
#define VERSION_1 (1ull << 32)
#define ACCESS_PLATFORM (1ull << 33)
#define LOG_ALL (1ull << 26)
#define RX 0u
#define TX 1u

static int device, tap, kick;
static uint8_t *memory; /* sixteen pages */
static uint16_t offered;

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static void make_tap(void)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int plain = socket(AF_INET, SOCK_DGRAM, 0), header = 12;

	strcpy(request.ifr_name, "edges0");
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &request) != 0 || ioctl(tap, TUNSETVNETHDRSZ, &header) != 0)
		fail("tap");
	request.ifr_flags = IFF_UP;
	if (ioctl(plain, SIOCSIFFLAGS, &request) != 0)
		fail("tap up");
	close(plain);
}

static int ask(unsigned long request, void *argument)
{
	return ioctl(device, request, argument) == 0 ? 0 : errno;
}

static void must(int error, const char *what)
{
	errno = error;
	if (error != 0)
		fail(what);
}

static void begin(uint64_t features)
{
	device = open("/dev/vhost-net", O_RDWR | O_NONBLOCK);
	if (device < 0)
		fail("/dev/vhost-net");
	memset(memory, 0, 16 * PAGE);
	offered = 0;
	kick = eventfd(0, EFD_NONBLOCK);
	must(ask(VHOST_SET_OWNER, NULL), "owner");
	must(ask(VHOST_SET_FEATURES, &features), "features");
}

static void end(void)
{
	close(device);
	close(kick);
}

static int set_table(uint64_t gpa, uint64_t size, void *host)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region;
	} table = { { .nregions = 1 }, { gpa, size, (uintptr_t)host, 0 } };

	return ask(VHOST_SET_MEM_TABLE, &table);
}

static ssize_t message(uint64_t iova, uint64_t size, void *host)
{
	struct vhost_msg update = { .type = VHOST_IOTLB_MSG,
				    .iotlb = { iova, size, (uintptr_t)host, VHOST_ACCESS_RW, VHOST_IOTLB_UPDATE } };

	return write(device, &update, sizeof(update));
}

/* A queue's ring: descriptors, available and used ring, a page each. */
static void place(unsigned queue, uint64_t ring, int logged)
{
	struct vhost_vring_state size = { queue, 8 };
	struct vhost_vring_addr where = { queue, (unsigned)logged, ring, ring + 2 * PAGE, ring + PAGE, 0 };

	must(ask(VHOST_SET_VRING_NUM, &size), "ring size");
	must(ask(VHOST_SET_VRING_ADDR, &where), "ring");
}

static int try_to_start(unsigned queue)
{
	struct vhost_vring_file file = { queue, kick }, backend = { queue, tap };

	must(ask(VHOST_SET_VRING_KICK, &file), "kick");
	return ask(VHOST_NET_SET_BACKEND, &backend);
}

static void start(unsigned queue)
{
	must(try_to_start(queue), "backend");
}

/* Offer a packet of 26 bytes at a guest address in the ring at this host address, and wait until the device has looked. */
static unsigned send_in(uint8_t *ring, uint64_t address)
{
	struct vring_desc *descriptor = (void *)ring;
	struct vring_avail *available = (void *)(ring + PAGE);
	struct vring_used *used = (void *)(ring + 2 * PAGE);
	uint64_t one = 1;
	int none = -2;

	descriptor[0] = (struct vring_desc){ address, 26, 0, 0 };
	available->ring[offered % 8] = 0;
	__atomic_store_n(&available->idx, ++offered, __ATOMIC_SEQ_CST);
	if (write(kick, &one, sizeof(one)) != sizeof(one))
		fail("kick");
	ioctl(device, VHOST_SET_LOG_FD, &none); /* fails, and waits for the device's worker */
	return used->idx;
}

static void tell(const char *what, int it_does)
{
	printf("%-8s %s\n", what, it_does ? "WRONG" : "right");
}

static void region(void)
{
	begin(VERSION_1);
	int error = set_table(0, 0, memory);
	if (error == 0) {
		place(TX, (uintptr_t)memory, 0);
		int refused = try_to_start(TX);
		printf("         a table of no bytes is taken; %s\n",
		       refused			     ? "then no backend is" :
		       send_in(memory, 8 * PAGE) == 1 ? "a packet is sent from guest address 0x8000" :
							"nothing is sent from guest address 0x8000");
	}
	tell("region", error == 0);
	end();
}

static void update(void)
{
	begin(VERSION_1 | ACCESS_PLATFORM);
	ssize_t taken = message(0, 0, memory);
	tell("update", taken >= 0 || errno != EINVAL);
	end();
}

static void ring(void)
{
	uint8_t *other = memory + 4 * PAGE;

	begin(VERSION_1 | ACCESS_PLATFORM);
	must(set_table(0, PAGE, memory), "table");
	if (message(PAGE, 3 * PAGE, memory) < 0 || message(256 * PAGE, 3 * PAGE, other) < 0 ||
	    message(512 * PAGE, PAGE, memory + 12 * PAGE) < 0)
		fail("update");
	place(TX, PAGE, 0);
	start(TX);
	send_in(memory, 512 * PAGE);
	/* The ring moves into another entry; the index that the device knows is 1. */
	struct vhost_vring_addr where = { TX, 0, 256 * PAGE, 258 * PAGE, 257 * PAGE, 0 };
	((struct vring_used *)(void *)(other + 2 * PAGE))->idx = 1;
	must(ask(VHOST_SET_VRING_ADDR, &where), "ring");
	unsigned there = send_in(other, 512 * PAGE);
	printf("         of a ring that moved the used index is %u there after the second packet\n", there);
	tell("ring", there != 2);
	end();
}

static void log_base(void)
{
	uint64_t good = (uintptr_t)(memory + 12 * PAGE), bad = 1ull << 62;

	begin(VERSION_1 | LOG_ALL);
	must(set_table(0, 16 * PAGE, memory), "table");
	must(ask(VHOST_SET_LOG_BASE, &good), "log base");
	place(TX, (uintptr_t)memory, 0);
	start(TX);
	int error = ask(VHOST_SET_LOG_BASE, &bad);
	/* The other queue has the log base that was refused: it cannot be started any more. */
	struct vhost_vring_file backend = { RX, tap };
	place(RX, (uintptr_t)memory + 4 * PAGE, 1);
	int after = ask(VHOST_NET_SET_BACKEND, &backend);
	printf("         a log base is refused with errno %d; then the other queue's backend with %d\n", error, after);
	tell("log", error != 0 && after != 0);
	end();
}

int main(int arguments, char **argument)
{
	if (getppid() != 1 && (arguments != 2 || strcmp(argument[1], "--here") != 0)) {
		fprintf(stderr, "this is for a virtual machine; %s --here runs it all the same\n", argument[0]);
		return 2;
	}
	memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		fail("memory");
	make_tap();
	region();
	update();
	ring();
	log_base();
	return 0; /* what it saw is what it printed: a status would say that it could not be tried */
}
