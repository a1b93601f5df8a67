/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The player: does what it is told on stdin and tells the answers on stdout, a line each. With it the vectors come to a
 * library that cannot be loaded into the process that has them, such as one of 32 bits.
 */
#include <string.h>

#include "player.h"

static uint64_t caller;

uint64_t who_calls(void *context)
{
	(void)context;
	return caller;
}

static void set_caller(struct line *line)
{
	caller = take(line);
}

/* What a trial ends with: its answers are then given out. */
static void end(struct line *line)
{
	(void)line;
}

static const struct request own_requests[] = {
	{"caller", set_caller},
	{"end", end},
	{NULL, NULL},
};

static const struct request *find(const struct request *requests, const char *name)
{
	for (; requests->name; requests++)
		if (strcmp(requests->name, name) == 0)
			return requests;
	return NULL;
}

static const struct request *request_named(const char *name)
{
	const struct request *found = find(own_requests, name);

	if (!found)
		found = find(map_requests, name);
	if (!found)
		found = find(device_requests, name);
	if (!found) {
		fprintf(stderr, "no request is called %s\n", name);
		exit(1);
	}
	return found;
}

static int read_name(char *name, size_t room)
{
	size_t length = 0;
	int c;

	while ((c = getchar()) != EOF && c != ' ' && c != '\n') {
		CHECK(length + 1 < room);
		name[length++] = (char)c;
	}
	name[length] = 0;
	CHECK(c != EOF || length == 0);
	return c;
}

/* The numbers up to the end of the line. */
static void read_numbers(struct line *line, int before)
{
	static size_t room;

	line->count = 0;
	line->taken = 0;
	while (before == ' ') {
		if (line->count == room) {
			room = room ? 2 * room : 64;
			line->numbers = realloc(line->numbers, room * sizeof(*line->numbers));
			CHECK(line->numbers);
		}
		CHECK(scanf("%" SCNu64, &line->numbers[line->count++]) == 1);
		before = getchar();
	}
	CHECK(before == '\n');
}

int main(void)
{
	struct line line = {NULL, 0, 0};
	char name[32];
	int before;

	/* Which words this was built for: whoever starts it can see that it is what was meant. */
	printf("%zu\n", sizeof(void *));
	while ((before = read_name(name, sizeof(name))) != EOF) {
		const struct request *request = request_named(name);

		read_numbers(&line, before);
		request->answer(&line);
		CHECK(left(&line) == 0);
		putchar('\n');
		if (request->answer == end)
			fflush(stdout);
	}
	free(line.numbers);
	return 0;
}
