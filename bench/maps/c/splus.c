/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A static tree of sorted keys, 16 in a node, all nodes of a level one after the other (as in S+trees): a node holds the first
 * keys of its 16 children, and counting those that are not greater than the address says which child is next. With AVX-512
 * or AVX2 (this contestant alone is compiled for the machine it runs on) a node is compared in two or four instructions.
 */
#include "counting.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

#define KEYS 16
#define LEVELS 8

struct leaf {
	uint64_t last;
	uint64_t delta;
};

struct map {
	int levels;
	uint64_t *keys[LEVELS]; /* [0]: the starts */
	struct leaf *leaves;
	uint64_t *memory;
};

#include "loops.h"

/* How many keys of a node are not greater. */
static inline unsigned int not_greater(const uint64_t *keys, uint64_t address)
{
#if defined(__AVX512F__)
	__m512i wanted = _mm512_set1_epi64((long long)address);
	unsigned int low = _mm512_cmple_epu64_mask(_mm512_load_si512(keys), wanted);
	unsigned int high = _mm512_cmple_epu64_mask(_mm512_load_si512(keys + 8), wanted);

	return (unsigned int)__builtin_popcount(low | high << 8);
#elif defined(__AVX2__)
	/* Signed comparisons: turn the highest bit of both sides around. */
	__m256i turn = _mm256_set1_epi64x((long long)0x8000000000000000);
	__m256i wanted = _mm256_xor_si256(_mm256_set1_epi64x((long long)address), turn);
	unsigned int greater = 0;
	int i;

	for (i = 0; i < 4; i++) {
		__m256i four = _mm256_xor_si256(_mm256_load_si256((const __m256i *)keys + i), turn);

		greater |= (unsigned int)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(four, wanted))) << 4 * i;
	}
	return KEYS - (unsigned int)__builtin_popcount(greater);
#else
	unsigned int count = 0;
	int i;

	for (i = 0; i < KEYS; i++)
		count += keys[i] <= address;
	return count;
#endif
}

static inline uint64_t find(struct map *map, uint64_t address, uint32_t index, uint64_t *last)
{
	size_t position = 0;
	int level;

	(void)index;
	for (level = map->levels - 1; level >= 0; level--) {
		unsigned int count = not_greater(map->keys[level] + position * KEYS, address);

		position = position * KEYS + count - (count != 0);
	}
	/* The first leaf may start after the address. */
	if (__builtin_expect(address > map->leaves[position].last || address < map->keys[0][position], 0))
		return MISS;
	*last = map->leaves[position].last;
	return address + map->leaves[position].delta;
}

static size_t whole_nodes(size_t keys)
{
	return (keys + KEYS - 1) / KEYS * KEYS;
}

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	struct map *map = counted_zalloc(sizeof(*map));
	size_t total = 0;
	size_t keys;
	size_t i;
	int level;

	(void)order;
	if (!map || !count)
		return NULL;
	for (keys = count; ; keys = whole_nodes(keys) / KEYS) {
		total += whole_nodes(keys);
		map->levels++;
		if (keys <= KEYS)
			break;
	}
	map->memory = counted(aligned_alloc(64, total * sizeof(uint64_t)));
	map->leaves = counted_take(whole_nodes(count) * sizeof(*map->leaves));
	if (!map->memory || !map->leaves)
		return NULL;
	memset(map->memory, 0xff, total * sizeof(uint64_t));
	map->keys[0] = map->memory;
	for (i = 0; i < count; i++) {
		map->keys[0][i] = regions[i].start;
		map->leaves[i].last = regions[i].last;
		map->leaves[i].delta = regions[i].host - regions[i].start;
	}
	keys = count;
	for (level = 1; level < map->levels; level++) {
		map->keys[level] = map->keys[level - 1] + whole_nodes(keys);
		keys = whole_nodes(keys) / KEYS;
		for (i = 0; i < keys; i++)
			map->keys[level][i] = map->keys[level - 1][i * KEYS];
	}
	return map;
}

static void destroy_map(void *given)
{
	struct map *map = given;

	counted_give(map->memory);
	counted_give(map->leaves);
	counted_give(map);
}

static size_t bytes_of(void *map)
{
	(void)map;
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(NO_CHANGES, NO_READER)
