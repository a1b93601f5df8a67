/* The guest's driver: rings, packet headers and indirect tables in backing R, at the places of conformance/rings.py. */
#include "shim.h"
#include <linux/virtio_ring.h>
#include <sys/mman.h>
#include "harness.h"

#define BACKINGS 6
#define BACKING_SIZE (1UL << 20)
#define BASE(number) ((char *)((1UL << 44) + (unsigned long)(number) * (1UL << 40)))
#define RINGS BASE(4)
#define QUEUE_ROOM 0x40000
#define AVAIL 0x10000
#define USED 0x18000
#define LARGEST_RING 2048

enum { INDIRECT_TABLE = 2, WRITABLE = 1 };

static struct {
	u16 offered;       /* chains */
	unsigned int next; /* descriptor that is written next */
	unsigned int descriptors[1 << 16]; /* of each chain by its number */
} queues[QUEUES];

void make_backings(void)
{
	for (int i = 0; i < BACKINGS; i++) {
		void *at = mmap(BASE(i), BACKING_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (at != BASE(i)) {
			fprintf(stderr, "no memory can be had at %p\n", BASE(i));
			exit(5);
		}
		user_memory(at, BACKING_SIZE);
	}
}

/* Without a chain and with rings of zeros, as after the guest was started. */
void driver_begin(void)
{
	for (int i = 0; i < QUEUES; i++) {
		memset(RINGS + i * QUEUE_ROOM + AVAIL, 0, 4);
		memset(RINGS + i * QUEUE_ROOM + USED, 0, 4);
		queues[i].offered = 0;
		queues[i].next = 0;
	}
}

static void write_descriptor(void *at, u64 address, u32 length, u64 kind, bool more, u16 next)
{
	struct vring_desc one = { address, length, 0, next };
	if (kind & WRITABLE)
		one.flags |= VRING_DESC_F_WRITE;
	if (kind & INDIRECT_TABLE)
		one.flags |= VRING_DESC_F_INDIRECT;
	if (more)
		one.flags |= VRING_DESC_F_NEXT;
	memcpy(at, &one, sizeof(one));
}

/* Offer a chain: how many descriptors, then for each: address, length, kind, and for an indirect one where its table is,
 * how many descriptors that has, and address, length and kind of each. False where the ring has no room for it.
 */
bool driver_offer(int queue, unsigned int size, u16 taken, const u64 *chain)
{
	char *ring = RINGS + queue * QUEUE_ROOM;
	unsigned int count = *chain++, used = 0;
	for (u16 i = taken; i != queues[queue].offered; i++)
		used += queues[queue].descriptors[i];
	if (!count || size > LARGEST_RING || used + count > size || (u16)(queues[queue].offered - taken) >= size)
		return false;
	u16 head = queues[queue].next % size;
	for (unsigned int i = 0; i < count; i++) {
		u16 here = (head + i) % size, next = (head + i + 1) % size;
		u64 address = chain[0], length = chain[1], kind = chain[2];
		chain += 3;
		write_descriptor(ring + 16 * here, address, length, kind, i + 1 < count, next);
		if (!(kind & INDIRECT_TABLE))
			continue;
		char *table = (char *)chain[0];
		unsigned int inner = chain[1];
		chain += 2;
		if (!user_range_is_there(table, 16UL * inner))
			return false;
		for (unsigned int k = 0; k < inner; k++, chain += 3)
			write_descriptor(table + 16 * k, chain[0], chain[1], chain[2], k + 1 < inner, k + 1);
	}
	u16 number = queues[queue].offered++;
	queues[queue].descriptors[number] = count;
	queues[queue].next = (head + count) % size;
	memcpy(ring + AVAIL + 4 + 2 * (number % size), &head, 2);
	memcpy(ring + AVAIL + 2, &queues[queue].offered, 2);
	return true;
}
