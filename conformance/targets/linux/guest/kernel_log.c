#include "kernel_log.h"

#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 64
static int log_fd = -1;
static struct {
	uint64_t error; /* of a failed translation */
	bool names_used;
} errors[MOST];
static unsigned count;

void kernel_log_open(void)
{
	log_fd = open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

void kernel_log_skip(void)
{
	lseek(log_fd, 0, SEEK_END);
	count = 0;
}

/*
 * Whether a record is an error that a device signalled: what vhost writes for debugging (level 7) but for a few words about
 * packets.
 */
static bool is_error(const char *record, const char *text)
{
	static const char *const others[] = { "Fail to send", "Truncated TX", "Discarded rx" };

	if (strtoul(record, NULL, 10) != 7)
		return false;
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strncmp(text, others[i], strlen(others[i])) == 0)
			return false;
	return true;
}

void kernel_log_read(void)
{
	static const char words[] = "Translation failure -";
	static const char end[] = "<7>gpaspec: end\n";
	char record[2048], *text;
	ssize_t length;

	/* Some errors have no end of line: they can be read when something comes after them. */
	if (write(log_fd, end, sizeof(end) - 1) < 0)
		fatal("the kernel's log cannot be written: %s", strerror(errno));
	/* EPIPE: the kernel has overwritten what we did not read in time. */
	while ((length = read(log_fd, record, sizeof(record) - 1)) > 0 || (length < 0 && errno == EPIPE)) {
		if (length < 0)
			continue;
		record[length] = '\0';
		text = strchr(record, ';');
		if (text == NULL || !is_error(record, text + 1) || count == MOST)
			continue;
		const char *at = strstr(text, words);
		errors[count].error = at != NULL ? strtoull(at + strlen(words), NULL, 10) : 0;
		errors[count++].names_used = strstr(text, "used") != NULL;
	}
}

unsigned kernel_log_errors(void)
{
	return count;
}

uint64_t kernel_log_errno(unsigned from, unsigned these)
{
	for (unsigned at = from; at < from + these && at < count; at++)
		if (errors[at].error != 0)
			return errors[at].error;
	return 0;
}

bool kernel_log_names_used(unsigned from, unsigned these)
{
	for (unsigned at = from; at < from + these && at < count; at++)
		if (errors[at].names_used)
			return true;
	return false;
}
