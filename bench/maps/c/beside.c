/* SPDX-License-Identifier: Apache-2.0 */
/* One reader beside one writer: a thread that looks up, and this one, which moves regions away and back. */
#include <pthread.h>

#include "abi.h"
#include "clock.h"

struct reading {
	const struct contestant *ops;
	void *map;
	struct work *work;
	volatile int stop;
	uint64_t lookups;
};

static void *read_on(void *given)
{
	struct reading *reading = given;

	reading->lookups = reading->ops->read_until(reading->map, reading->work, &reading->stop);
	return NULL;
}

/*
 * For about `ns` nanoseconds. Region away[i] is moved to to[i], where it is home[i], and back to away[i].start. With `count` 0
 * nothing is moved. Returns how long it took, UINT64_MAX if something failed.
 */
__attribute__((visibility("default"))) uint64_t beside(const struct contestant *ops, void *map, struct work *work,
							const struct region *away, const uint64_t *to,
							const struct region *home, size_t count, uint64_t ns,
							uint64_t *lookups, uint64_t *moves)
{
	struct reading reading = {.ops = ops, .map = map, .work = work};
	struct timespec pause = {0, 1000000};
	pthread_t thread;
	uint64_t begin = now_for_all();
	uint64_t took;
	int failed = 0;
	size_t i;

	*moves = 0;
	if (pthread_create(&thread, NULL, read_on, &reading))
		return UINT64_MAX;
	while (now_for_all() - begin < ns) {
		if (!count)
			nanosleep(&pause, NULL);
		for (i = 0; i < count; i++) {
			failed |= ops->move(map, &away[i], &to[i], 1) == UINT64_MAX;
			failed |= ops->move(map, &home[i], &away[i].start, 1) == UINT64_MAX;
			*moves += 2;
		}
	}
	took = now_for_all() - begin;
	reading.stop = 1;
	pthread_join(thread, NULL);
	*lookups = reading.lookups;
	return failed ? UINT64_MAX : took;
}
