#include "driver.h"

#include "backings.h"
#include "device_memory.h"
#include "step.h"

#include <linux/virtio_ring.h>

/* Places within a queue's part of the backing for rings: conformance/rings.py. */
#define QUEUE_ROOM 0x40000
#define AVAILABLE 0x10000
#define USED 0x18000
#define TABLES 0x20000
#define LARGEST_RING 2048

/* In the pairs of a step: one descriptor. */
struct flat_descriptor {
	uint64_t address, length;
	uint64_t bits;	/* 1: writable, 2: indirect; from bit 16 on, how many descriptors of its table follow */
	uint64_t table; /* where its table is written */
};
enum { WRITABLE = 1, HAS_TABLE = 2 };

/* The chains that were offered, by the driver's index. */
struct offered {
	const struct flat_descriptor *first;
	uint32_t descriptors;
	uint32_t head; /* where its first one is in the ring */
};
static struct offered chains[QUEUES][65536];

static uint8_t *ring(uint32_t queue)
{
	return backing_bytes(RING_BACKING) + queue * QUEUE_ROOM;
}

struct vhost_vring_addr ring_places(uint32_t queue)
{
	uint64_t at = (uintptr_t)ring(queue);

	return (struct vhost_vring_addr){ .index = queue,
					  .desc_user_addr = at,
					  .avail_user_addr = at + AVAILABLE,
					  .used_user_addr = at + USED };
}

static uint32_t inner_count(const struct flat_descriptor *one)
{
	return one->bits & HAS_TABLE ? (uint32_t)(one->bits >> 16) : 0;
}

/* The descriptor after this one and after all that its tables have. */
static const struct flat_descriptor *behind(const struct flat_descriptor *one)
{
	const struct flat_descriptor *next = one + 1;

	for (uint32_t i = 0; i < inner_count(one); i++)
		next = behind(next);
	return next;
}

static struct vring_desc as_written(const struct flat_descriptor *one, uint32_t next)
{
	uint16_t flags = (uint16_t)((one->bits & WRITABLE ? VRING_DESC_F_WRITE : 0) |
				    (one->bits & HAS_TABLE ? VRING_DESC_F_INDIRECT : 0) |
				    (next != UINT32_MAX ? VRING_DESC_F_NEXT : 0));

	return (struct vring_desc){ one->address, (uint32_t)one->length, flags,
				    (uint16_t)(next != UINT32_MAX ? next : 0) };
}

static void write_table(const struct flat_descriptor *one)
{
	const struct flat_descriptor *inner = one + 1;
	uint32_t count = inner_count(one);

	if (count > 0 && !is_ring_memory(one->table, (uint64_t)count * sizeof(struct vring_desc)))
		leave(SKIPPED, "an indirect table at 0x%llx: this harness has them in the backing for rings",
		      (unsigned long long)one->table);
	struct vring_desc *table = (struct vring_desc *)(uintptr_t)one->table;
	for (uint32_t i = 0; i < count; i++) {
		struct vring_desc written = as_written(inner, i + 1 < count ? i + 1 : UINT32_MAX);

		ring_put(&table[i], &written, sizeof(written));
		write_table(inner);
		inner = behind(inner);
	}
}

/* Put a chain into the ring under this index; the device is not told yet. */
static void write_chain(struct queue *queue, uint32_t number, uint16_t index)
{
	struct vring_desc *table = (struct vring_desc *)(void *)ring(number);
	struct vring_avail *available = (struct vring_avail *)(void *)(ring(number) + AVAILABLE);
	struct offered *chain = &chains[number][index];
	const struct flat_descriptor *one = chain->first;
	uint32_t slot = queue->next_slot;
	uint16_t head = (uint16_t)slot;

	chain->head = slot;
	ring_put(&available->ring[index % queue->size], &head, sizeof(head));
	for (uint32_t i = 0; i < chain->descriptors; i++) {
		uint32_t next = (slot + 1) % queue->size;

		struct vring_desc written = as_written(one, i + 1 < chain->descriptors ? next : UINT32_MAX);

		ring_put(&table[slot], &written, sizeof(written));
		write_table(one);
		one = behind(one);
		slot = next;
	}
	queue->next_slot = slot;
}

/* Descriptors of chains that the device has not taken yet. */
static uint32_t waiting(const struct queue *queue, uint32_t number, uint16_t taken)
{
	uint32_t found = 0;

	for (uint16_t index = taken; index != queue->available; index++)
		found += chains[number][index].descriptors;
	return found;
}

void offer_chain(struct device *device, uint32_t number, const struct flat_step *step)
{
	struct queue *queue = &device->queue[number];
	const struct flat_descriptor *first = (const void *)(step + 1), *end = first + step->ranges / 2;
	struct offered *chain = &chains[number][queue->available];
	uint32_t taken = device_taken(device, number);

	*chain = (struct offered){ first, 0, 0 };
	for (const struct flat_descriptor *one = first; one < end; one = behind(one))
		chain->descriptors++;
	if (chain->descriptors == 0)
		leave(SKIPPED, "a chain without a descriptor cannot be written");
	if (queue->size > LARGEST_RING)
		leave(SKIPPED, "a ring of %u descriptors: this harness has room for %d", queue->size, LARGEST_RING);
	if (waiting(queue, number, (uint16_t)taken) + chain->descriptors > queue->size)
		leave(SKIPPED, "a ring of %u descriptors has no room for this chain", queue->size);
	write_chain(queue, number, queue->available);
	queue->available++;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ring_put(&((struct vring_avail *)(void *)(ring(number) + AVAILABLE))->idx, &queue->available, 2);
}

void ring_resized(struct device *device, uint32_t number, uint32_t size)
{
	struct queue *queue = &device->queue[number];
	uint16_t taken = device_taken(device, number);

	if (size == queue->size)
		return;
	queue->size = size;
	queue->next_slot = 0;
	if (queue->available == taken)
		return;
	if (size > LARGEST_RING || waiting(queue, number, taken) > size)
		leave(SKIPPED, "a ring of %u descriptors has no room for what waits", size);
	for (uint16_t index = taken; index != queue->available; index++)
		write_chain(queue, number, index);
}

void rings_restart(struct device *device)
{
	for (uint32_t number = 0; number < QUEUES; number++) {
		ring_zero(ring(number), TABLES);
		device->queue[number] = (struct queue){ .size = 1 };
	}
}

static struct vring_used *used_part(uint32_t number)
{
	return (struct vring_used *)(void *)(ring(number) + USED);
}

/* Whether a descriptor, or one of its table, is for the device to write; or for it to read. */
static bool has(const struct flat_descriptor *one, bool writable)
{
	const struct flat_descriptor *inner = one + 1;
	bool found = !(one->bits & HAS_TABLE) && (bool)(one->bits & WRITABLE) == writable && one->length > 0;

	for (uint32_t i = 0; i < inner_count(one); i++, inner = behind(inner))
		found |= has(inner, writable);
	return found;
}

/* Whether a chain has what its queue cannot use, or nothing that it can. Kernels take such a chain and never report it. */
static bool may_be_lost(const struct offered *chain, uint32_t number)
{
	bool good = false, bad = false, writable = number == RECEIVE_QUEUE;
	const struct flat_descriptor *one = chain->first;

	for (uint32_t i = 0; i < chain->descriptors; i++, one = behind(one)) {
		good |= has(one, writable);
		bad |= has(one, !writable);
	}
	return bad || !good;
}

uint32_t newly_used(struct device *device, uint32_t number)
{
	struct queue *queue = &device->queue[number];
	struct vring_used *used = used_part(number);
	uint16_t index = *(volatile uint16_t *)&used->idx, fresh = (uint16_t)(index - queue->seen_used);

	if (fresh > queue->size || fresh > (uint16_t)(queue->available - queue->reported))
		leave(ERRORED, "the used index of queue %u went from %u to %u, but %u chains are offered", number,
		      queue->seen_used, index, (uint16_t)(queue->available - queue->reported));
	for (uint16_t at = queue->seen_used; at != index; at++) {
		const struct vring_used_elem *element = &used->ring[at % queue->size];
		const struct offered *chain = &chains[number][queue->reported];

		while (queue->reported != queue->available && element->id != chain->head && may_be_lost(chain, number))
			chain = &chains[number][++queue->reported];
		if (queue->reported == queue->available || element->id != chain->head)
			leave(ERRORED, "the used ring of queue %u names descriptor %u at %u, where %u was offered", number,
			      element->id, at, chain->head);
		if (number == TRANSMIT_QUEUE && element->len != 0)
			leave(ERRORED, "the used ring of the transmit queue says at %u that %u bytes were written", at,
			      element->len);
		queue->reported++;
		ring_is_right(element, sizeof(*element));
	}
	queue->seen_used = index;
	ring_is_right(&used->idx, sizeof(used->idx));
	/* Whether the device wants to be told of chains: it is told of each, whatever it says. */
	if (used->flags <= VRING_USED_F_NO_NOTIFY)
		ring_is_right(&used->flags, sizeof(used->flags));
	return fresh;
}

void used_is_right(struct device *device, uint32_t number)
{
	const struct queue *queue = &device->queue[number];

	ring_is_right(used_part(number), sizeof(struct vring_used) + queue->size * sizeof(struct vring_used_elem));
}

uint32_t used_length(const struct device *device, uint32_t number, uint32_t back)
{
	const struct queue *queue = &device->queue[number];
	const struct vring_used *used = (const void *)(ring(number) + USED);

	return used->ring[(uint16_t)(queue->seen_used - back) % queue->size].len;
}
