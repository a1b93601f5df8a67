/* What every step needs: to ask the kernel as its bits say, to answer, or to give its vector up. */
#ifndef GPASPEC_STEP_H
#define GPASPEC_STEP_H

#include "flat.h"
#include "vm.h"

#include <setjmp.h>

/* Ask from this process, or from the stranger, which has an address space of its own. 0 or an errno. */
int call(const struct flat_step *step, int fd, unsigned long request, void *argument);

/* The one answer of a step. */
void answer(enum result kind, uint8_t stopped, uint32_t count, const uint64_t *values);
void answer_errno(int error); /* 0: done */

/* End the vector here: it is SKIPPED or ERRORED, for this reason. */
void leave(enum frame kind, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* Where leave() goes: whoever runs steps has called setjmp on it since answers_clear(). */
extern jmp_buf left;

/* What the vector that runs has come to: RESULTS, or what it was left with. */
void answers_clear(void);
enum frame answers_kind(void);
const void *answers_payload(size_t *length);

/* As leave(), but goes on here. */
void answers_replace(enum frame kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
