#include "run.h"

#include "access_steps.h"
#include "backings.h"
#include "boot.h"
#include "channel.h"
#include "closers.h"
#include "device.h"
#include "device_memory.h"
#include "device_steps.h"
#include "log_steps.h"
#include "received.h"
#include "slot_steps.h"
#include "step.h"
#include "stranger.h"
#include "watch.h"
#include "watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FULL_CHECK 64 /* vectors */
#define LARGE_PAGES (1ull << 20)

static bool one_by_one;

static void run_step(struct vm *vm, const struct flat_step *step)
{
	switch (step->operation) {
	case SET_REGION:
		set_region(vm, step);
		return;
	case CREATE_MEMFD:
		create_memfd(vm, step);
		return;
	case GET_DIRTY_LOG:
		get_dirty_log(vm, step);
		return;
	case CLEAR_DIRTY_LOG:
		clear_dirty_log(vm, step);
		return;
	case MANUAL_PROTECT:
		enable_cap(vm, step, CAP_MANUAL_PROTECT2, (uint32_t)step->v[1]);
		return;
	case DIRTY_RING:
		enable_cap(vm, step, CAP_DIRTY_LOG_RING, 0);
		return;
	case GUEST_WRITE:
		guest_write(vm, step);
		return;
	case VCPU_READ:
		vcpu_step(vm, step, false);
		return;
	case VCPU_WRITE:
		vcpu_step(vm, step, true);
		return;
	default:
		answer(UNOBSERVABLE, 0, 0, NULL);
	}
}

/* Run the steps; what they come to is asked of step.h. */
static void run_steps(struct vm *vm, const struct flat_vector *vector)
{
	const uint8_t *next = (const uint8_t *)(vector + 1) + vector->id_bytes;

	for (uint32_t number = 0; number < vector->steps; number++) {
		const struct flat_step *step = (const struct flat_step *)next;

		run_step(vm, step);
		next += sizeof(*step) + (size_t)step->ranges * 16;
	}
}

static bool touches_memory(const struct flat_vector *vector)
{
	const uint8_t *next = (const uint8_t *)(vector + 1) + vector->id_bytes;

	for (uint32_t number = 0; number < vector->steps; number++) {
		const struct flat_step *step = (const struct flat_step *)next;

		if (step->operation >= GUEST_WRITE && step->operation <= VCPU_WRITE)
			return true;
		next += sizeof(*step) + (size_t)step->ranges * 16;
	}
	return false;
}

static uint8_t first_operation(const struct flat_vector *vector)
{
	const struct flat_step *step = (const void *)((const uint8_t *)(vector + 1) + vector->id_bytes);

	return vector->steps > 0 ? step->operation : 0;
}

void run_start(bool alone)
{
	one_by_one = alone;
	stranger_start();
	watchdog_start();
	closers_start(one_by_one);
}

void run_finish(void)
{
	closers_wait();
}

static void run_device_steps(struct device *device, const struct flat_vector *vector)
{
	const uint8_t *next = (const uint8_t *)(vector + 1) + vector->id_bytes;

	for (uint32_t number = 0; number < vector->steps; number++) {
		const struct flat_step *step = (const struct flat_step *)next;

		device_step(device, step);
		next += sizeof(*step) + (size_t)step->ranges * 16;
	}
}

/* A vector about a vhost device. One has a device, a worker of the kernel's and the tap for itself. */
static void run_device_vector(const struct flat_vector *vector)
{
	static struct device device;

	if (!device_there) {
		answers_replace(SKIPPED, "there is no vhost here: %s", device_missing);
	} else {
		closers_wait();
		memory_for_device();
		packets_forget();
		watchdog_expect(vector->index);
		const char *failed = device_open(&device);
		if (failed != NULL) {
			answers_replace(ERRORED, "no vhost device: %s", failed);
		} else {
			watch_device(&device);
			if (setjmp(left) == 0)
				run_device_steps(&device, vector);
			device_close(&device);
		}
		watchdog_rest();
	}
	size_t length;
	const void *payload = answers_payload(&length);
	send_frame(answers_kind(), vector->index, payload, length);
}

void run_vector(const struct flat_vector *vector)
{
	static struct finished one;

	if (one_by_one)
		mark_vector(vector->index);
	send_begin(vector->index);
	misbehave_at(vector->index);
	answers_clear();
	if (first_operation(vector) >= FIRST_VHOST_OPERATION) {
		run_device_vector(vector);
		return;
	}
	memory_for_slots();
	int error = vm_open(&one.vm);
	if (error != 0)
		answers_replace(ERRORED, "no VM: %s", strerror(error));
	else if (setjmp(left) == 0)
		run_steps(&one.vm, vector);
	/* All of the backings only now and then: nothing but a broken kernel reaches beyond the slots of a vector. */
	static unsigned vectors;
	uint64_t wild = touches_memory(vector) ? backings_check(++vectors % FULL_CHECK == 0) : 0;
	if (wild != 0 && answers_kind() == RESULTS)
		answers_replace(ERRORED,
				"host memory changed where no step had it changed, here or in a vector shortly before: 0x%llx",
				(unsigned long long)wild);
	one.index = vector->index;
	one.kind = answers_kind();
	const void *payload = answers_payload(&one.length);
	one.payload = malloc(one.length + 1);
	if (one.payload == NULL)
		fatal("no memory for results");
	memcpy(one.payload, payload, one.length);
	/* What a huge slot held must be free again before the next vector asks for memory. */
	bool large = known_pages() > LARGE_PAGES;
	forget_all();
	finish(&one, large);
}
