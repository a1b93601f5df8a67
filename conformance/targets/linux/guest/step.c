#include "step.h"

#include "channel.h"
#include "stranger.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* The results of the vector that runs, as they are sent. */
static uint8_t *results;
static size_t results_length, results_room;

/* How a vector ends before its last step. */
jmp_buf left;
static enum frame kind_now = RESULTS;
static char reason[512];

void answers_clear(void)
{
	results_length = 0;
	kind_now = RESULTS;
}

enum frame answers_kind(void)
{
	return kind_now;
}

const void *answers_payload(size_t *length)
{
	*length = kind_now == RESULTS ? results_length : strlen(reason);
	return kind_now == RESULTS ? (const void *)results : reason;
}

static void replace(enum frame kind, const char *format, va_list arguments)
{
	vsnprintf(reason, sizeof(reason), format, arguments);
	kind_now = kind;
}

void answers_replace(enum frame kind, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	replace(kind, format, arguments);
	va_end(arguments);
}

void leave(enum frame kind, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	replace(kind, format, arguments);
	va_end(arguments);
	longjmp(left, 1);
}

static void append(const void *bytes, size_t length)
{
	if (results_length + length > results_room) {
		results_room = 2 * (results_length + length) + 4096;
		results = realloc(results, results_room);
		if (results == NULL)
			fatal("no memory for results");
	}
	memcpy(results + results_length, bytes, length);
	results_length += length;
}

void answer(enum result kind, uint8_t stopped, uint32_t count, const uint64_t *values)
{
	struct result_header header = { (uint8_t)kind, stopped, 0, count };

	append(&header, sizeof(header));
	append(values, count * sizeof(*values));
}

void answer_errno(int error)
{
	uint64_t value = (uint64_t)error;

	answer(error == 0 ? DONE : REFUSED, 0, error == 0 ? 0 : 1, &value);
}

int call(const struct flat_step *step, int fd, unsigned long request, void *argument)
{
	if (!(step->bits & READABLE))
		argument = nowhere();
	if (step->bits & FROM_OWNER)
		return ask(fd, request, argument);
	int error = stranger_ask(fd, request, argument, _IOC_SIZE(request));
	if (error < 0)
		leave(ERRORED, "the process that is to ask in this one's place is lost");
	return error;
}
