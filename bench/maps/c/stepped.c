/* SPDX-License-Identifier: Apache-2.0 */
/* How many instructions the lookups of one contestant have, for those whose instructions valgrind does not know: one process looks up,
 * another lets it go from one instruction to the next, and counts. stepped CONTESTANT DIRECTORY prints a line for each loop: its
 * name, the lookups, the instructions. (Stepping is slow: a hundred thousand instructions a second.) */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "content.h"

#define LOOKUPS 256

static const char *const kinds[] = {"uniform", "zipf"};
static const char *const loops[] = {"throughput", "latency"};

/* Between two stops is what is counted: a loop over nothing, and the loop. */
static void asked(const char *path, const char *directory)
{
	const struct contestant *ops = loaded(path);
	size_t count;
	size_t same;
	const struct region *regions = content(directory, "regions", sizeof(*regions), &count);
	const uint32_t *order = content(directory, "order", sizeof(*order), &same);
	void *map = ops->create(regions, order, count);
	int i;

	if (!map || ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		exit(2);
	for (i = 0; i < 4; i++) {
		uint64_t (*loop)(void *, struct work *) = i % 2 ? ops->latency : ops->throughput;
		struct work work = questions(directory, kinds[i / 2]);
		struct work nothing = {0};

		work.count = LOOKUPS;
		loop(map, &work); /* what is bound when it is first called is bound */
		raise(SIGSTOP);
		loop(map, &nothing);
		raise(SIGSTOP);
		loop(map, &work);
		raise(SIGSTOP);
	}
	exit(0);
}

/* Instructions until the next stop. With `step` 0 they are not counted. */
static long until_stop(pid_t child, int step)
{
	long count = 0;
	int status;

	do {
		if (ptrace(step ? PTRACE_SINGLESTEP : PTRACE_CONT, child, NULL, NULL) || waitpid(child, &status, 0) != child ||
		    !WIFSTOPPED(status)) {
			fprintf(stderr, "stepped: a process cannot be stepped through here\n");
			exit(2);
		}
		if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
			fprintf(stderr, "stepped: the process got signal %d\n", WSTOPSIG(status));
			exit(2);
		}
		count++;
	} while (WSTOPSIG(status) != SIGSTOP);
	return count;
}

int main(int argc, char **argv)
{
	pid_t child;
	int status;
	int i;

	if (argc != 3) {
		fprintf(stderr, "usage: stepped CONTESTANT DIRECTORY\n");
		return 2;
	}
	child = fork();
	if (!child)
		asked(argv[1], argv[2]);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) {
		fprintf(stderr, "stepped: a process cannot be traced here\n");
		return 2;
	}
	if (ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_EXITKILL)) { /* it does not stay behind */
		fprintf(stderr, "stepped: a process cannot be traced here\n");
		return 2;
	}
	for (i = 0; i < 4; i++) {
		long nothing;

		if (i)
			until_stop(child, 0);
		nothing = until_stop(child, 1);
		printf("%s %s %d %ld\n", kinds[i / 2], loops[i % 2], LOOKUPS, until_stop(child, 1) - nothing);
	}
	kill(child, SIGKILL);
	return 0;
}
