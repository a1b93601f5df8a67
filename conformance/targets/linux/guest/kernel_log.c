#include "kernel_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 16
static int log_fd = -1;
static uint64_t errnos[MOST];
static unsigned count, next;

void kernel_log_open(void)
{
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

void kernel_log_skip(void)
{
	lseek(log_fd, 0, SEEK_END);
	count = next = 0;
}

void kernel_log_read(void)
{
	static const char words[] = "Translation failure -";
	char record[2048];
	ssize_t length;

	/* EPIPE: the kernel has overwritten what we did not read in time. */
	while ((length = read(log_fd, record, sizeof(record) - 1)) > 0 || (length < 0 && errno == EPIPE)) {
		if (length < 0)
			continue;
		record[length] = '\0';
		const char *at = strstr(record, words);
		if (at != NULL && count < MOST)
			errnos[count++] = strtoull(at + strlen(words), NULL, 10);
	}
}

uint64_t kernel_log_errno(void)
{
	return next < count ? errnos[next++] : 0;
}
