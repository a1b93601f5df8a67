/* Run vectors, each in a fresh VM, and send what came of them. */
#ifndef GPASPEC_RUN_H
#define GPASPEC_RUN_H

#include "flat.h"

#include <stdbool.h>

/*
 * To take a VM down the kernel mostly waits. Unless `one_by_one`, that is done beside the next vectors; an answer is
 * sent only once its VM is gone, so after a crash the vectors without an answer are the ones to look at.
 */
void run_start(bool one_by_one);
void run_vector(const struct flat_vector *vector);

/* Wait for the last VM and the last answer. */
void run_finish(void);

#endif
