/* Run one vector in a fresh VM and send what came of it. */
#ifndef GPASPEC_RUN_H
#define GPASPEC_RUN_H

#include "flat.h"

void run_vector(const struct flat_vector *vector);

#endif
