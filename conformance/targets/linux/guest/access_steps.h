/* Steps that access guest memory, and how it is seen which host bytes they reach. */
#ifndef GPASPEC_ACCESS_STEPS_H
#define GPASPEC_ACCESS_STEPS_H

#include "flat.h"
#include "vm.h"

/* The kernel writes its 12 bytes of wall clock. */
void guest_write(struct vm *vm, const struct flat_step *step);

/* Guest code reads or writes one byte. */
void vcpu_step(struct vm *vm, const struct flat_step *step, bool write);

#endif
