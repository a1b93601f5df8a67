/* SPDX-License-Identifier: Apache-2.0 */
/* One input: its operations in order, what is told of them, and the end at a difference. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

static const struct subject *const SUBJECTS[] = {&slots_subject, &table_subject, &device_subject};
#define NSUBJECTS (sizeof(SUBJECTS) / sizeof(SUBJECTS[0]))

struct manner manner;
bool telling;
bool quiet;

static const struct subject *subject;
static const uint8_t *input;
static size_t input_size;
static uint32_t done;     /* operations of this input */
static uint64_t all_done; /* of all */
static uint64_t inputs;
static uint64_t enough;   /* operations after which the program ends; 0: never */
static bool made;        /* there is something to compare */
static uint64_t said;     /* operations when progress was last said */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* ---- Telling ---- */

bool tell(const char *format, ...)
{
	va_list arguments;

	if (quiet)
		return true;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	return fflush(stdout) == 0;
}

static void say_progress(const char *what)
{
	printf("fuzz: %s operations=%" PRIu64 " inputs=%" PRIu64 "\n", what, all_done, inputs);
	fflush(stdout);
	said = all_done;
}

_Noreturn void differ(const char *format, ...)
{
	va_list arguments;

	if (!telling) {
		/* Once more from its start, and tell. What is there now is left as it is. */
		say_progress("difference");
		telling = true;
		quiet = false;
		(void)LLVMFuzzerTestOneInput(input, input_size);
		printf("DIFFERENCE at the first time only: the second time all was the same. It was:\n");
	} else {
		printf("DIFFERENCE in operation %" PRIu32 ":\n", done);
	}
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
	abort();
}

void same_answer(int64_t of_library, int64_t of_naive)
{
	TELL("  = %" PRId64 "\n", of_library);
	if (of_library != of_naive)
		differ("the library answers %" PRId64 ", the model %" PRId64, of_library, of_naive);
}

void same_number(const char *what, uint64_t of_library, uint64_t of_naive)
{
	if (of_library != of_naive)
		differ("%s: 0x%" PRIx64 " of the library, 0x%" PRIx64 " of the model", what, of_library, of_naive);
}

void same_segment(const char *what, const struct gpamap_segment *of_library, const struct gpamap_segment *of_naive)
{
	const struct gpamap_segment *a = of_library, *b = of_naive;

	TELL("  segment first=0x%" PRIx64 " last=0x%" PRIx64 " host=0x%" PRIx64 "\n", a->first, a->last, a->host);
	if (a->first != b->first || a->last != b->last || a->host != b->host)
		differ("%s: 0x%" PRIx64 " .. 0x%" PRIx64 " at 0x%" PRIx64 " of the library, 0x%" PRIx64 " .. 0x%" PRIx64
		       " at 0x%" PRIx64 " of the model",
		       what, a->first, a->last, a->host, b->first, b->last, b->host);
}

/* ---- Tables, which two subjects have ---- */

/* Lists of entries, and room for one that must not be written. */
static struct gpamap_entry listed[2][ROOM_FOR_ENTRIES + 1];

static size_t room_for_entries(size_t room)
{
	if (room > ROOM_FOR_ENTRIES)
		room = ROOM_FOR_ENTRIES;
	memset(&listed[0][room], UNTOUCHED, sizeof(listed[0][room]));
	listed[1][room] = listed[0][room];
	return room;
}

static void same_list(const char *what, size_t of_library, size_t of_naive, size_t room)
{
	const struct gpamap_entry *a = listed[0], *b = listed[1];
	size_t i;

	same_number("number of entries", of_library, of_naive);
	for (i = 0; i < of_library && i < room; i++) {
		TELL("  %s first=0x%" PRIx64 " last=0x%" PRIx64 " host=0x%" PRIx64 " perm=0x%" PRIx32 "\n", what,
		     a[i].first, a[i].last, a[i].host, a[i].perm);
		if (a[i].first != b[i].first || a[i].last != b[i].last || a[i].host != b[i].host ||
		    a[i].perm != b[i].perm)
			differ("%s, entry %zu: the model has first=0x%" PRIx64 " last=0x%" PRIx64 " host=0x%" PRIx64
			       " perm=0x%" PRIx32,
			       what, i, b[i].first, b[i].last, b[i].host, b[i].perm);
	}
	if (memcmp(&a[room], &b[room], sizeof(a[room])))
		differ("%s: an entry is stored behind the room for %zu", what, room);
}

void same_entries(const char *what, const struct gpamap_table *of_library, const struct gpamap_table *of_naive,
		  size_t room)
{
	size_t count;

	room = room_for_entries(room);
	count = library.table_entries(of_library, listed[0], room);
	same_list(what, count, naive.table_entries(of_naive, listed[1], room), room);
}

void same_entries_in(const char *what, const struct gpamap_table_view *of_library, const struct gpamap_table_view *of_naive,
		uint64_t first, uint64_t last, size_t room)
{
	size_t count;

	room = room_for_entries(room);
	count = library.table_range(of_library, first, last, listed[0], room);
	same_list(what, count, naive.table_range(of_naive, first, last, listed[1], room), room);
}

struct asked take_asked(void)
{
	struct asked asked = {.addr = take_number()};
	uint8_t rest;

	asked.length = take_size();
	rest = take8();
	asked.access = 1 + rest % 2;
	asked.room = rest >> 1 < 8 ? rest >> 1 : rest < 0x80 ? 64 : MOST_SEGMENTS;
	if (rest >= 0xf8) {
		asked.access = take32();
		asked.room = take16() % (MOST_SEGMENTS + 1);
	}
	return asked;
}

void room_for_answer(const struct asked *asked, struct translation *translation)
{
	memset(&translation->reach, UNTOUCHED, sizeof(translation->reach));
	memset(&translation->segments[asked->room], UNTOUCHED, sizeof(translation->segments[0]));
}

void same_translation(const struct asked *asked, const struct translation *of_library,
		      const struct translation *of_naive)
{
	size_t i;

	same_answer(of_library->error, of_naive->error);
	same_number("bytes reached", of_library->reach.bytes, of_naive->reach.bytes);
	same_number("segments", of_library->reach.segments, of_naive->reach.segments);
	if (of_naive->error == -EINVAL)
		return;
	TELL("  reach bytes=0x%" PRIx64 " segments=0x%zx\n", of_library->reach.bytes, of_library->reach.segments);
	for (i = 0; i < of_library->reach.segments; i++)
		same_segment("segment", &of_library->segments[i], &of_naive->segments[i]);
	if (memcmp(&of_library->segments[asked->room], &of_naive->segments[asked->room],
		   sizeof(of_library->segments[0])))
		differ("a segment is stored behind the room for %zu", asked->room);
}

/* ---- One input ---- */

uint64_t fuzz_caller(void *context)
{
	return ((struct manner *)context)->caller;
}

void usual_manner(void)
{
	if (manner.caller != OWNER || manner.unreadable || manner.no_buffer)
		TELL("usual\n");
	manner = (struct manner){.caller = OWNER};
}

void count_operation(void)
{
	done++;
	all_done++;
}

bool enough_operations(void)
{
	return done >= MOST_OPERATIONS;
}

static void compare_quietly(void)
{
	bool before = quiet;

	quiet = true;
	subject->compare();
	quiet = before;
}

void compare_now(void)
{
	if (made)
		compare_quietly();
}

static void run(void)
{
	uint32_t since = 0;

	subject = SUBJECTS[take8() % NSUBJECTS];
	manner = (struct manner){.caller = OWNER};
	done = 0;
	heap_begin();
	TELL("new %s\n", subject->name);
	made = false;
	made = subject->make();
	if (!made)
		return;
	while (bytes_left() && !enough_operations()) {
		subject->operate();
		/* To look at everything costs as much as there is: the more there is, the rarer. */
		if (++since * 3 > subject->count()) {
			compare_quietly();
			since = 0;
		}
	}
	TELL("end\n");
	subject->compare();
	subject->end();
	heap_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = data;
	input_size = size;
	bytes_are(data, size);
	run();
	inputs++;
	if (all_done - said >= 200000)
		say_progress("doing");
	if (enough && all_done >= enough) {
		say_progress("done");
		_exit(0);
	}
	return 0;
}

static void at_end(void)
{
	say_progress("done");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *operations = getenv("GPAMAP_FUZZ_OPERATIONS");

	(void)argc;
	(void)argv;
	enough = operations ? strtoull(operations, NULL, 10) : 0;
	telling = getenv("GPAMAP_FUZZ_TELL") != NULL;
	(void)atexit(at_end);
	return 0;
}
