/* The end of a machine on which a vector does not come to its end. */
#ifndef GPASPEC_WATCHDOG_H
#define GPASPEC_WATCHDOG_H

#include <stdint.h>

void watchdog_start(void);

/* From now on this vector has so many seconds (see watchdog.c); until watchdog_rest(). */
void watchdog_expect(uint32_t vector);
void watchdog_rest(void);

#endif
