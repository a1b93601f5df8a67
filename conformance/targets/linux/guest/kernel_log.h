/* The errno that the kernel writes into its log where a translation fails. */
#ifndef GPASPEC_KERNEL_LOG_H
#define GPASPEC_KERNEL_LOG_H

#include <stdbool.h>
#include <stdint.h>

void kernel_log_open(void);

/* Forget what has been written so far; read what was written since. */
void kernel_log_skip(void);
void kernel_log_read(void);

/* How many errors of a device were read. */
unsigned kernel_log_errors(void);

/* The errno of the first failed translation among `count` errors from one on, 0 where none of them is that. */
uint64_t kernel_log_errno(unsigned from, unsigned count);

/* Whether one of these is about the device's part of a ring. */
bool kernel_log_names_used(unsigned from, unsigned count);

#endif
