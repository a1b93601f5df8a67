/* A forked child that makes calls on a VM which another process owns. */
#ifndef GPASPEC_STRANGER_H
#define GPASPEC_STRANGER_H

#include <stddef.h>

/* Before any thread is started. */
void stranger_start(void);

/* The child makes this call on `fd`, with a copy of `length` bytes at `argument` (or with that address, if it leads
 * nowhere). 0 or the errno that it got; -1 if the child is lost. */
int stranger_ask(int fd, unsigned long request, const void *argument, size_t length);

#endif
