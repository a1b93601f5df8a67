/* The way on which results leave: a file descriptor, or an I/O port that QEMU listens on. */
#ifndef GPASPEC_CHANNEL_H
#define GPASPEC_CHANNEL_H

#include "flat.h"

void channel_to_fd(int fd);
void channel_to_port(uint16_t port);
void send_frame(enum frame kind, uint32_t index, const void *payload, size_t length);
void send_text(enum frame kind, uint32_t index, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Say why nothing can go on, on the channel and on stderr, and end. */
void fatal(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
