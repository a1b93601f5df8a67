/* The errno that the kernel writes into its log where a translation fails. */
#ifndef GPASPEC_KERNEL_LOG_H
#define GPASPEC_KERNEL_LOG_H

#include <stdint.h>

void kernel_log_open(void);

/* Forget what has been written so far; read what was written since. */
void kernel_log_skip(void);
void kernel_log_read(void);

/* The errno of the next failure that was read, 0 where none was written. */
uint64_t kernel_log_errno(void);

#endif
