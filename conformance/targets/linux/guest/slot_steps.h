/* Steps that change what a VM is made of: its slots, its guest memory files, what is switched on for it. */
#ifndef GPASPEC_SLOT_STEPS_H
#define GPASPEC_SLOT_STEPS_H

#include "flat.h"
#include "vm.h"

void set_region(struct vm *vm, const struct flat_step *step);
void create_memfd(struct vm *vm, const struct flat_step *step);
void enable_cap(struct vm *vm, const struct flat_step *step, uint32_t cap, uint32_t flags);

#endif
