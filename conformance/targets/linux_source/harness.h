/* Between the shim and the device that it serves. */
#ifndef GPASPEC_HARNESS_H
#define GPASPEC_HARNESS_H

#include <stdbool.h>
#include <stddef.h>

void user_memory(const void *at, size_t size); /* from now on the kernel's code finds memory of the caller here */
void call_as_stranger(bool yes);               /* calls come from a process that is not the owner, or from the owner */
bool work_is_left(void);                       /* whether the device has queued work that was not done */

#endif
