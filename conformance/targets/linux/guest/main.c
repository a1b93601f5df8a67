/*
 * Run memslot vectors against /dev/kvm and vhost vectors against /dev/vhost-net.
 *
 *   gpaspec-guest FILE      on a host: results go to standard output
 *   /init                   in a virtual machine: vectors are /vectors, results go to I/O port 0xe9
 */
#include "backings.h"
#include "boot.h"
#include "channel.h"
#include "device.h"
#include "kernel_log.h"
#include "probe.h"
#include "run.h"
#include "vcpu.h"
#include "vm.h"
#include "watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESULT_PORT 0xe9

/*
 * A machine with a virtual CPU that is never used, kept to the end: with the first one the kernel turns hardware
 * virtualisation on and patches its own code, with the last one back, and that would be most of a vector's time.
 */
static void keep_one_machine(void)
{
	static struct vm idle;
	int error = vm_open(&idle);

	if (error == 0)
		error = vcpu_make(&idle);
	if (error != 0)
		fatal("no VM with a virtual CPU can be made: %s", strerror(error));
}

static void run_all(const char *path)
{
	struct flat_file file = flat_open(path);
	const uint8_t *next = file.bytes + sizeof(*file.header);

	kvm_open();
	backings_map(file.header);
	devices_prepare();
	if (device_there) {
		watch_prepare();
		kernel_log_open();
	}
	mark_ready();
	send_hello();
	keep_one_machine();
	/* Set by whoever looks for the one vector that crashes a kernel. */
	run_start(getenv("GPASPEC_ONE_BY_ONE") != NULL);
	for (uint32_t number = 0; number < file.header->vectors; number++) {
		const struct flat_vector *vector = (const struct flat_vector *)next;

		run_vector(vector);
		next += vector->length;
	}
	run_finish();
	send_frame(END, file.header->vectors, NULL, 0);
}

/* A machine that runs out of memory over our slots is to end us and nobody else. */
static void die_first(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, "1000", 4) != 4)
			fprintf(stderr, "gpaspec-guest: oom_score_adj cannot be raised\n");
		close(fd);
	}
}

int main(int arguments, char **argument)
{
	if (getpid() == 1) {
		channel_to_port(RESULT_PORT);
		boot();
		if (!run_program())
			run_all("/vectors");
		power_off();
	}
	if (arguments != 2) {
		fprintf(stderr, "usage: %s FILE\n", argument[0]);
		return 2;
	}
	channel_to_fd(STDOUT_FILENO);
	die_first();
	run_all(argument[1]);
	return 0;
}
