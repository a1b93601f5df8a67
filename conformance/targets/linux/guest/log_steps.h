/* Steps that read or clear a dirty log. */
#ifndef GPASPEC_LOG_STEPS_H
#define GPASPEC_LOG_STEPS_H

#include "flat.h"
#include "vm.h"

void get_dirty_log(struct vm *vm, const struct flat_step *step);
void clear_dirty_log(struct vm *vm, const struct flat_step *step);

#endif
