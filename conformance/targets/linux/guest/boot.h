/* What this program has to do first when it is the init of a virtual machine. */
#ifndef GPASPEC_BOOT_H
#define GPASPEC_BOOT_H

#include <stdbool.h>
#include <stdint.h>

/* Mount what is needed, have the kernel stop at the first oops, warning or lock-up, load the modules of /modules. */
void boot(void);
/* Run /program instead of vectors, if there is one, and send what it prints. False if there is none. */
bool run_program(void);
void power_off(void) __attribute__((noreturn));

/*
 * Say on the console that what follows is about vectors, and about which one: the host may read our frames late. Both do
 * nothing but in a virtual machine.
 */
void mark_ready(void);
void mark_vector(uint32_t vector);

/* For tests of the harness, in a VM only: what to do at the vector that GPASPEC_CRASH, _HANG or _ALARM names. */
void misbehave_at(uint32_t vector);

/* Say on the console what is wrong and what the kernel's threads do, and end the machine. */
void give_up(const char *why) __attribute__((noreturn));

#endif
