/*
 * Run memslot vectors against /dev/kvm.
 *
 *   gpaspec-guest FILE      on a host: results go to standard output
 *   /init                   in a virtual machine: vectors are /vectors, results go to I/O port 0xe9
 */
#include "backings.h"
#include "boot.h"
#include "channel.h"
#include "probe.h"
#include "run.h"
#include "vm.h"

#include <stdio.h>
#include <unistd.h>

#define RESULT_PORT 0xe9

static void run_all(const char *path, bool in_vm)
{
	struct flat_file file = flat_open(path);
	const uint8_t *next = file.bytes + sizeof(*file.header);

	kvm_open();
	send_hello();
	backings_map(file.header);
	for (uint32_t number = 0; number < file.header->vectors; number++) {
		const struct flat_vector *vector = (const struct flat_vector *)next;

		send_frame(BEGIN, vector->index, NULL, 0);
		if (in_vm)
			misbehave_at(vector->index);
		run_vector(vector);
		next += vector->length;
	}
	send_frame(END, file.header->vectors, NULL, 0);
}

int main(int arguments, char **argument)
{
	if (getpid() == 1) {
		channel_to_port(RESULT_PORT);
		boot();
		run_all("/vectors", true);
		power_off();
	}
	if (arguments != 2) {
		fprintf(stderr, "usage: %s FILE\n", argument[0]);
		return 2;
	}
	channel_to_fd(STDOUT_FILENO);
	run_all(argument[1], false);
	return 0;
}
