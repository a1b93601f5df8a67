/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reader beside one writer, for maps that do not let them: a lock around the map, as a program would put it there. With
 * LOCKED_BY_RWLOCK or LOCKED_BY_MUTEX each lookup of the reader and each move of the writer takes it; without, nothing
 * is locked, and there is no reader.
 */
#ifndef BENCH_LOCKS_H
#define BENCH_LOCKS_H
#include <pthread.h>

#if defined(LOCKED_BY_RWLOCK)
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
#define WRITE_BEGIN() pthread_rwlock_wrlock(&lock)
#define WRITE_END() pthread_rwlock_unlock(&lock)
#define READ_BEGIN() pthread_rwlock_rdlock(&lock)
#define READ_END() pthread_rwlock_unlock(&lock)
#elif defined(LOCKED_BY_MUTEX)
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#define WRITE_BEGIN() pthread_mutex_lock(&lock)
#define WRITE_END() pthread_mutex_unlock(&lock)
#define READ_BEGIN() pthread_mutex_lock(&lock)
#define READ_END() pthread_mutex_unlock(&lock)
#else
#define WRITE_BEGIN() ((void)0)
#define WRITE_END() ((void)0)
#endif
#endif
