/* Find the kernel's profile out by asking it: every switch by behaviour, never by version. */
#ifndef GPASPEC_PROBE_H
#define GPASPEC_PROBE_H

/* Send the HELLO frame: lines of `name=value`. `switches` are the profile, `fact.` lines are worth printing. */
void send_hello(void);

#endif
