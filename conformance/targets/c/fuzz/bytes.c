/* SPDX-License-Identifier: Apache-2.0 */
/* What the bytes say. Any number can be written; those at which something happens are short. */
#include "fuzz.h"

#define REMEMBERED 64

static const uint8_t *at, *end;
static uint64_t remembered[REMEMBERED];
static size_t next;

static const uint64_t NUMBERS[32] = {
	0,
	1,
	0xfff,
	0x1001,
	0x7fffffff000,
	0x7ffffffff000,
	0x7fffffffe000,
	0x7ffffffff001,
	0xffffffff,
	0x100000000,
	0xfffff000,
	0x10000000000,
	0xfffffff000,
	0x7fffffff,
	0x80000000,
	0x7ffffffffff,
	0x7ffffffffffff000,
	0x7fffffffffffffff,
	0x8000000000000000,
	0x8000000000001000,
	0xffffffffffff0000,
	0xfffffffffffff000,
	0xffffffffffffefff,
	0xffffffffffffe000,
	0xffffffffffffffff,
	0xfffffffffffffffe,
	0xfffffffffffff001,
	0x10000000000000,
	0xffffffffff000,
	0x40000000000,
	0x200000,
	0x40000000,
};

static const uint64_t NEAR[16] = {
	0, 0, 0, 0, 1, UINT64_MAX, 0x1000, -(uint64_t)0x1000, 0x1001, 0xfff, 2, 0x2000, -(uint64_t)0x2000, 0x800, 0x10000,
	-(uint64_t)0x1001,
};

void bytes_are(const uint8_t *data, size_t size)
{
	at = data;
	end = data + size;
	next = 0;
	memset(remembered, 0, sizeof(remembered));
}

bool bytes_left(void)
{
	return at < end;
}

uint8_t take8(void)
{
	return at < end ? *at++ : 0;
}

uint16_t take16(void)
{
	uint16_t low = take8();

	return (uint16_t)(low | take8() << 8);
}

uint32_t take32(void)
{
	uint32_t low = take16();

	return low | (uint32_t)take16() << 16;
}

uint64_t take64(void)
{
	uint64_t low = take32();

	return low | (uint64_t)take32() << 32;
}

void remember(uint64_t number)
{
	remembered[next++ % REMEMBERED] = number;
}

uint64_t take_number(void)
{
	uint8_t kind = take8();

	if (kind < 0x80)
		return (uint64_t)kind << 12;
	if (kind < 0xc0)
		return remembered[kind % REMEMBERED] + NEAR[take8() % 16];
	if (kind < 0xe0)
		return NUMBERS[kind % 32];
	if (kind < 0xf0)
		return kind % 16;
	if (kind < 0xf8)
		return (uint64_t)take16() << 12;
	if (kind < 0xfc)
		return take32();
	return take64();
}

uint64_t take_size(void)
{
	uint8_t kind = take8();

	if (kind < 0x40)
		return (uint64_t)kind << 12;
	if (kind < 0x60)
		return (uint64_t)1 << kind % 32 << 12;
	if (kind < 0x80)
		return (uint64_t)1 << kind % 32;
	if (kind < 0xc0)
		return kind % 64;
	return take_number();
}

uint32_t take_count(void)
{
	uint8_t kind = take8();

	return kind < 0xe0 ? 1 + kind % 32 : 1 + (kind % 32) * 64;
}

uint32_t take_largest_block(void)
{
	static const uint16_t SIZES[16] = {0, 0, 0, 0, 1, 2, 3, 4, 5, 8, 31, 33, 64, 511, 512, 513};

	return SIZES[take8() % 16];
}
