#include "flat.h"

#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_step(const struct flat_step *step, const char *path, uint32_t vector, uint32_t number)
{
	if (step->operation == 0 || step->operation >= OPERATIONS_END)
		fatal("%s: vector %u, step %u: unknown operation %u", path, vector, number, step->operation);
	if (step->zero != 0 || step->bits > 15)
		fatal("%s: vector %u, step %u: reserved bits are set", path, vector, number);
	if (step->ranges != 0 && step->operation != CLEAR_DIRTY_LOG && step->operation != SET_MEM_TABLE &&
	    step->operation != TRANSMIT && step->operation != OFFER)
		fatal("%s: vector %u, step %u: this operation has no pairs of numbers", path, vector, number);
	if (step->operation != CLEAR_DIRTY_LOG) {
		if (step->ranges % 2 != 0)
			fatal("%s: vector %u, step %u: half a region or descriptor", path, vector, number);
		return;
	}
	const uint64_t *pairs = (const uint64_t *)(step + 1);
	for (uint32_t pair = 0; pair < step->ranges; pair++)
		if (pairs[2 * pair] > pairs[2 * pair + 1] || pairs[2 * pair + 1] >> 33 != 0)
			fatal("%s: vector %u, step %u: range %u is backward or too far", path, vector, number, pair);
}

static void check_vector(const uint8_t *from, const uint8_t *end, const char *path, uint32_t number)
{
	const struct flat_vector *vector = (const struct flat_vector *)from;
	const uint8_t *next = from + sizeof(*vector);

	if (vector->id_bytes % 8 != 0 || vector->id_bytes > (size_t)(end - next))
		fatal("%s: vector %u: its id does not fit", path, number);
	next += vector->id_bytes;
	for (uint32_t step = 0; step < vector->steps; step++) {
		const struct flat_step *at = (const struct flat_step *)next;

		if ((size_t)(end - next) < sizeof(*at) || (size_t)(end - next) - sizeof(*at) < (size_t)at->ranges * 16)
			fatal("%s: vector %u: step %u is cut off", path, number, step);
		check_step(at, path, number, step);
		next += sizeof(*at) + (size_t)at->ranges * 16;
	}
	if (next != end)
		fatal("%s: vector %u: %zu bytes too many", path, number, (size_t)(end - next));
}

struct flat_file flat_open(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) != 0)
		fatal("%s: %s", path, strerror(errno));
	if ((size_t)status.st_size < sizeof(struct flat_header))
		fatal("%s: shorter than a header", path);
	const uint8_t *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		fatal("%s: cannot be mapped: %s", path, strerror(errno));
	close(fd);

	const struct flat_header *header = (const struct flat_header *)bytes;
	if (memcmp(header->magic, "GPAFLAT", 8) != 0)
		fatal("%s: not a file of flat vectors", path);
	if (header->version != FLAT_VERSION)
		fatal("%s: version %u, this program knows version %d", path, header->version, FLAT_VERSION);
	if (header->length != (uint64_t)status.st_size)
		fatal("%s: %llu bytes announced, %lld there", path, (unsigned long long)header->length,
		      (long long)status.st_size);
	if (header->backings != FLAT_BACKINGS || header->backing_pages == 0 || header->backing_pages > 1024)
		fatal("%s: unexpected backings", path);

	const uint8_t *next = bytes + sizeof(*header), *end = bytes + status.st_size;
	for (uint32_t number = 0; number < header->vectors; number++) {
		const struct flat_vector *vector = (const struct flat_vector *)next;

		if ((size_t)(end - next) < sizeof(*vector) || vector->length < sizeof(*vector) ||
		    vector->length % 8 != 0 || vector->length > (size_t)(end - next))
			fatal("%s: vector %u is cut off", path, number);
		check_vector(next, next + vector->length, path, number);
		next += vector->length;
	}
	if (next != end)
		fatal("%s: %zu bytes after the last vector", path, (size_t)(end - next));
	return (struct flat_file){ bytes, header };
}
