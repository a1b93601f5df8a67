/* The other end of the device's wire: a tap, and packet sockets on it that see and send whole frames. */
#ifndef GPASPEC_TAP_H
#define GPASPEC_TAP_H

#include <stddef.h>
#include <stdint.h>

#define LONGEST_FRAME 65535

extern int tap_fd;
extern int tap_listener; /* becomes readable when a frame came out of the tap */

/* Make the tap. NULL, or what failed. */
const char *tap_open(void);

/* How many bytes stand before each frame between the device and the tap. */
void tap_header(int bytes);

/* A frame that came out: its bytes and length; 0 when there is none. */
size_t tap_take(const uint8_t **frame);

/* A frame goes in: 0 or an errno. */
int tap_send(const uint8_t *frame, size_t length);

/* Throw away what waits in it for a reader. */
void tap_drain(void);

#endif
