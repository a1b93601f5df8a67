#include "closers.h"

#include "channel.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A ring of finished vectors between the thread that runs them and those that take their VMs down. */
#define CLOSERS 8
static struct finished waiting[CLOSERS];
static unsigned put, taken, gone; /* counted up for ever */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool beside;

static void take_down(struct finished *one)
{
	vm_close(&one->vm);
	pthread_mutex_lock(&lock);
	send_frame(one->kind, one->index, one->payload, one->length);
	pthread_mutex_unlock(&lock);
	free(one->payload);
}

static void *closer(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	for (;;) {
		while (taken == put)
			pthread_cond_wait(&changed, &lock);
		struct finished one = waiting[taken++ % CLOSERS];
		pthread_mutex_unlock(&lock);
		take_down(&one);
		pthread_mutex_lock(&lock);
		gone++;
		pthread_cond_broadcast(&changed);
	}
	return NULL;
}

/* Wait until fewer than this many VMs are being taken down. */
static void wait_for_closers(unsigned fewer_than)
{
	pthread_mutex_lock(&lock);
	while (put - gone >= fewer_than)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

void closers_start(bool one_by_one)
{
	beside = !one_by_one;
	for (int i = 0; beside && i < CLOSERS; i++) {
		pthread_t thread;
		int error = pthread_create(&thread, NULL, closer, NULL);

		if (error != 0)
			fatal("no thread: %s", strerror(error));
	}
}

void closers_wait(void)
{
	wait_for_closers(1);
}

void send_begin(uint32_t index)
{
	pthread_mutex_lock(&lock);
	send_frame(BEGIN, index, NULL, 0);
	pthread_mutex_unlock(&lock);
}

void finish(struct finished *one, bool wait)
{
	if (!beside) {
		take_down(one);
		return;
	}
	wait_for_closers(CLOSERS);
	pthread_mutex_lock(&lock);
	waiting[put++ % CLOSERS] = *one;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (wait)
		wait_for_closers(1);
}
