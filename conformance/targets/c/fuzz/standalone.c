/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where there is no libFuzzer: inputs made by chance, from nothing or from the files of a directory. Arguments are those
 * of libFuzzer that are needed here; others are passed over. The input that is being done is kept in a file, which stays
 * when the program dies: its size in 4 bytes, and its bytes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct bytes {
	uint32_t size;
	uint8_t are[LONGEST];
};

static struct bytes *seeds;
static size_t nseeds;
static struct bytes *current;
static uint64_t state = 1;

/* Marsaglia's xorshift. */
static uint64_t chance(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static void read_seed(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		return;
	seeds = realloc(seeds, (nseeds + 1) * sizeof(*seeds));
	if (!seeds)
		abort();
	seeds[nseeds].size = (uint32_t)fread(seeds[nseeds].are, 1, LONGEST, file);
	nseeds++;
	(void)fclose(file);
}

static void read_seeds(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	char name[4096];

	if (!directory) {
		read_seed(path);
		return;
	}
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		read_seed(name);
	}
	(void)closedir(directory);
}

static void keep_current(const char *prefix)
{
	char name[4096];
	int file;

	(void)snprintf(name, sizeof(name), "%scurrent", prefix);
	file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (file < 0 || ftruncate(file, sizeof(*current)) != 0) {
		perror(name);
		exit(2);
	}
	current = mmap(NULL, sizeof(*current), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (current == MAP_FAILED) {
		perror(name);
		exit(2);
	}
	(void)close(file);
}

static void add_by_chance(void)
{
	uint64_t more = 1 + chance(chance(8) ? 60 : LONGEST);

	while (more-- && current->size < LONGEST)
		current->are[current->size++] = (uint8_t)chance(256);
}

/* A seed, changed in some places and with something behind it; or bytes by chance alone. */
static void make_input(void)
{
	uint64_t changes = chance(6);

	current->size = 0;
	if (nseeds && chance(4)) {
		*current = seeds[chance(nseeds)];
		while (changes-- && current->size)
			current->are[chance(current->size)] = (uint8_t)chance(256);
	}
	add_by_chance();
}

int main(int argc, char **argv)
{
	const char *prefix = "./";
	int64_t runs = -1;
	size_t k;
	int i;

	LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "-seed=", 6))
			state = strtoull(argv[i] + 6, NULL, 10) * 2654435761u + 88172645463325252u;
		else if (!strncmp(argv[i], "-runs=", 6))
			runs = strtoll(argv[i] + 6, NULL, 10);
		else if (!strncmp(argv[i], "-artifact_prefix=", 17))
			prefix = argv[i] + 17;
		else if (argv[i][0] != '-')
			read_seeds(argv[i]);
	}
	keep_current(prefix);
	for (k = 0; k < nseeds; k++) {
		*current = seeds[k];
		LLVMFuzzerTestOneInput(current->are, current->size);
	}
	while (runs) {
		make_input();
		LLVMFuzzerTestOneInput(current->are, current->size);
		runs -= runs > 0;
	}
	free(seeds);
	return 0;
}
