/* Between the shim, the tap, the driver and the loop. */
#ifndef GPASPEC_HARNESS_H
#define GPASPEC_HARNESS_H

#include <stdbool.h>
#include <stddef.h>

#define QUEUES 2

enum event { EVENT_SENT, EVENT_RECEIVED, EVENT_MISSED, EVENT_ERROR, EVENT_DISCARDED, EVENT_BLOCKED };

/* shim.c */
void user_memory(const void *at, size_t size); /* from now on the kernel's code finds memory of the caller here */
void call_as_stranger(bool yes);               /* calls come from a process that is not the owner, or from the owner */
size_t pages_marked(u64 base, u64 *marks, size_t room); /* ranges of log bits that were set, and clears them */

/* driver.c: the guest's part, in backing R */
void make_backings(void);
void driver_begin(void);
bool driver_offer(int queue, unsigned int size, u16 taken, const u64 *chain);
void driver_expects(int queue, u16 chain, u32 length); /* the device did this chain, and has to report it as used */
void driver_gives_up(int queue);                       /* the device says that it cannot report what it did */
bool driver_objects(int queue, unsigned int size, u64 *expected, u64 *found); /* whether the used ring says otherwise */
u64 driver_finds_stray(void); /* a place in backing R that the device wrote to and should not have; 0: there is none */

/* tap.c */
void tap_begin(void);
void tap_packet(u64 length);

/* harness.c */
bool work_is_left(void);     /* whether the device has queued work that was not done */
void event(u64 word);        /* one more word of what happened */
u16 chain_taken(int queue);  /* the number of the chain that the device took last */

#endif
