/* SPDX-License-Identifier: Apache-2.0 */
/* One contestant's throughput loop in a process of its own, for tools that count: runner CONTESTANT DIRECTORY. In the directory
 * are regions, order, addresses and indexes as plain arrays. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int main(int argc, char **argv)
{
	const struct contestant *(*get)(void);
	const struct contestant *ops;
	struct work work = {0};
	struct region *regions;
	uint32_t *order;
	size_t count;
	size_t same;
	void *library;
	void *map;

	if (argc != 3) {
		fprintf(stderr, "usage: runner CONTESTANT DIRECTORY\n");
		return 2;
	}
	library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "runner: %s\n", dlerror());
		return 2;
	}
	*(void **)&get = dlsym(library, "contestant");
	ops = get();
	regions = content(argv[2], "regions", sizeof(*regions), &count);
	order = content(argv[2], "order", sizeof(*order), &same);
	work.addresses = content(argv[2], "addresses", sizeof(uint64_t), &work.count);
	work.indexes = content(argv[2], "indexes", sizeof(uint32_t), &same);
	map = ops->create(regions, order, count);
	if (!map) {
		fprintf(stderr, "runner: %s\n", ops->why());
		return 2;
	}
	ops->throughput(map, &work);
	return 0;
}
