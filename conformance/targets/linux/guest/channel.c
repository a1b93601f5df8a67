#include "channel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <unistd.h>

static int channel_fd = -1;
static uint16_t channel_port;

void channel_to_fd(int fd)
{
	channel_fd = fd;
}

void channel_to_port(uint16_t port)
{
	if (ioperm(port, 1, 1) != 0) {
		perror("ioperm");
		return;
	}
	channel_port = port;
}

static void send_bytes(const void *bytes, size_t length)
{
	if (channel_port != 0) {
		const void *next = bytes;

		__asm__ volatile("rep outsb" : "+S"(next), "+c"(length) : "d"(channel_port) : "memory");
		return;
	}
	while (channel_fd >= 0 && length > 0) {
		ssize_t done = write(channel_fd, bytes, length);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			fprintf(stderr, "gpaspec-guest: results cannot be written: %s\n", strerror(errno));
			exit(3);
		}
		bytes = (const char *)bytes + done;
		length -= (size_t)done;
	}
}

/* CRC-32 as in zlib: against a line that loses bytes, not against an enemy. */
static uint32_t checksum(uint32_t sum, const void *bytes, size_t length)
{
	static uint32_t table[256];
	const uint8_t *next = bytes;

	if (table[1] == 0)
		for (uint32_t i = 0; i < 256; i++) {
			table[i] = i;
			for (int bit = 0; bit < 8; bit++)
				table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
		}
	sum = ~sum;
	while (length-- > 0)
		sum = sum >> 8 ^ table[(sum ^ *next++) & 0xff];
	return ~sum;
}

void send_frame(enum frame kind, uint32_t index, const void *payload, size_t length)
{
	struct frame_header header = { { 'G', 'P', 'A', 'R' }, kind, index, (uint32_t)length };
	uint32_t sum = checksum(checksum(0, &header, sizeof(header)), payload, length);

	send_bytes(&header, sizeof(header));
	send_bytes(payload, length);
	send_bytes(&sum, sizeof(sum));
}

void send_text(enum frame kind, uint32_t index, const char *format, ...)
{
	char text[4096];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	send_frame(kind, index, text, strlen(text));
}

void fatal(const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "gpaspec-guest: %s\n", text);
	send_frame(FATAL, 0, text, strlen(text));
	if (getpid() == 1) {
		sync();
		reboot(RB_POWER_OFF);
	}
	exit(2);
}
