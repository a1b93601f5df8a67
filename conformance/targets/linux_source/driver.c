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
	u16 heads[1 << 16];
	u16 used;                          /* chains that were reported as used */
	unsigned int done;                 /* chains that the device did since then */
	struct { u16 chain; u32 length; } expected[LARGEST_RING];
	bool unsure;                       /* the device said that it could not report all */
} queues[QUEUES];

/* Backing R as the driver wrote it, and the device where it should. */
static char written[BACKING_SIZE];

static void accept(const char *at, size_t size)
{
	if (at >= RINGS && size <= BACKING_SIZE && (size_t)(at - RINGS) <= BACKING_SIZE - size)
		memcpy(written + (at - RINGS), at, size);
}

static void write_bytes(void *at, const void *from, size_t size)
{
	memcpy(at, from, size);
	accept(at, size);
}

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
	const u32 nothing = 0;
	for (int i = 0; i < QUEUES; i++) {
		write_bytes(RINGS + i * QUEUE_ROOM + AVAIL, &nothing, 4);
		write_bytes(RINGS + i * QUEUE_ROOM + USED, &nothing, 4);
		queues[i].offered = queues[i].used = 0;
		queues[i].next = queues[i].done = 0;
		queues[i].unsure = false;
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
	write_bytes(at, &one, sizeof(one));
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
	queues[queue].heads[number] = head;
	queues[queue].next = (head + count) % size;
	write_bytes(ring + AVAIL + 4 + 2 * (number % size), &head, 2);
	write_bytes(ring + AVAIL + 2, &queues[queue].offered, 2);
	return true;
}

/* What the device reports ------------------------------------------------------------------------------------------ */

void driver_expects(int queue, u16 chain, u32 length)
{
	BUG_ON(queues[queue].done == LARGEST_RING);
	queues[queue].expected[queues[queue].done].chain = chain;
	queues[queue].expected[queues[queue].done++].length = length;
}

void driver_gives_up(int queue) { queues[queue].unsure = true; }

/* The index of the used ring has risen by the chains that the device did, and each has an element: its head, and how many
 * bytes the device wrote. Otherwise true, and what differs. Elements as they are in memory, in one word.
 */
bool driver_objects(int queue, unsigned int size, u64 *expected, u64 *found)
{
	char *used = RINGS + queue * QUEUE_ROOM + USED;
	unsigned int done = queues[queue].done;
	u16 index;

	accept(used, 2);                /* flags: whether to kick */
	accept(used + 4 + 8 * size, 2); /* with event indexes: when */
	queues[queue].done = 0;
	if (queues[queue].unsure) {
		accept(used, 4 + 8 * LARGEST_RING);
		return false;
	}
	memcpy(&index, used + 2, 2);
	*expected = (u16)(queues[queue].used + done);
	*found = index;
	if (*expected != *found)
		return true;
	for (unsigned int i = 0; i < done; i++) {
		char *element = used + 4 + 8 * ((u16)(queues[queue].used + i) % size);
		memcpy(found, element, 8);
		*expected = queues[queue].heads[queues[queue].expected[i].chain] |
			    (u64)queues[queue].expected[i].length << 32;
		if (*expected != *found)
			return true;
		accept(element, 8);
	}
	queues[queue].used = index;
	accept(used + 2, 2);
	return false;
}

u64 driver_finds_stray(void)
{
	if (!memcmp(written, RINGS, BACKING_SIZE))
		return 0;
	size_t at = 0;
	while (written[at] == RINGS[at])
		at++;
	accept(RINGS, BACKING_SIZE);
	return (u64)(uintptr_t)RINGS + at;
}
