/* SPDX-License-Identifier: Apache-2.0 */
/* Plain arrays from the files of a directory, for programs that run one contestant by itself (see instructions.py). */
#ifndef BENCH_CONTENT_H
#define BENCH_CONTENT_H
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "abi.h"

static void *content(const char *directory, const char *name, size_t element, size_t *count)
{
	char path[4096];
	void *memory;
	FILE *file;
	long size;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) <= 0 || fseek(file, 0, SEEK_SET)) {
		fprintf(stderr, "runner: %s cannot be read\n", path);
		exit(2);
	}
	memory = malloc((size_t)size);
	if (!memory || fread(memory, 1, (size_t)size, file) != (size_t)size)
		exit(2);
	fclose(file);
	*count = (size_t)size / element;
	return memory;
}

static struct work questions(const char *directory, const char *kind)
{
	struct work work = {0};
	char name[64];
	size_t same;

	snprintf(name, sizeof(name), "%s-addresses", kind);
	work.addresses = content(directory, name, sizeof(uint64_t), &work.count);
	snprintf(name, sizeof(name), "%s-indexes", kind);
	work.indexes = content(directory, name, sizeof(uint32_t), &same);
	return work;
}

static const struct contestant *loaded(const char *path)
{
	const struct contestant *(*get)(void);
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		fprintf(stderr, "runner: %s\n", dlerror());
		exit(2);
	}
	*(void **)&get = dlsym(library, "contestant");
	return get();
}
#endif
