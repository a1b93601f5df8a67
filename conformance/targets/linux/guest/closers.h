/*
 * What came of a vector is sent when its VM is gone. To take a VM down the kernel mostly waits, so threads do that beside
 * the vectors that follow.
 */
#ifndef GPASPEC_CLOSERS_H
#define GPASPEC_CLOSERS_H

#include "flat.h"
#include "vm.h"

/* What a vector came to, with the VM that it leaves behind. The payload is freed by whoever sends it. */
struct finished {
	struct vm vm;
	enum frame kind;
	uint32_t index;
	void *payload;
	size_t length;
};

/* Start the threads; with `one_by_one` there are none, and each VM is taken down at once. */
void closers_start(bool one_by_one);

/* Say that a vector begins. The channel is shared with the threads, so frames of this program's run go through here. */
void send_begin(uint32_t index);

/* Take the VM down, then send what came of the vector. With `wait` only return when that is done. */
void finish(struct finished *one, bool wait);

/* Return when the last VM is gone and the last answer sent. */
void closers_wait(void);

#endif
