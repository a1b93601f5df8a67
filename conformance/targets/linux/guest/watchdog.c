#include "watchdog.h"

#include "boot.h"
#include "channel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECONDS 30

static atomic_long started; /* seconds of the clock, 0 while nothing runs */
static atomic_uint running;

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + 1;
}

static void *watchdog(void *unused)
{
	(void)unused;
	for (;;) {
		long since = atomic_load(&started);
		char why[128];

		if (since != 0 && now() - since > SECONDS) {
			snprintf(why, sizeof(why), "vector %u hangs: it has run for %d seconds", atomic_load(&running),
				 SECONDS);
			give_up(why);
		}
		sleep(1);
	}
	return NULL;
}

void watchdog_start(void)
{
	pthread_t thread;
	int error;

	if (getpid() != 1)
		return;
	error = pthread_create(&thread, NULL, watchdog, NULL);
	if (error != 0)
		fatal("no thread: %s", strerror(error));
}

void watchdog_expect(uint32_t vector)
{
	atomic_store(&running, vector);
	atomic_store(&started, now());
}

void watchdog_rest(void)
{
	atomic_store(&started, 0);
}
