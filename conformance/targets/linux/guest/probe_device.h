/* What a vhost device is like here: lines of the HELLO frame. */
#ifndef GPASPEC_PROBE_DEVICE_H
#define GPASPEC_PROBE_DEVICE_H

void probe_device(void (*say)(const char *format, ...));

#endif
