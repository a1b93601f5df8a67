/* SPDX-License-Identifier: Apache-2.0 */
/* The counting allocator as C++ wants it. */
#ifndef BENCH_COUNTING_HPP
#define BENCH_COUNTING_HPP
#include <cstddef>
#include <new>

#include "counting.h"

template <class T> struct Counting {
	using value_type = T;

	Counting() = default;
	template <class U> Counting(const Counting<U> &) {}

	T *allocate(std::size_t count)
	{
		void *memory = counted_take(count * sizeof(T));

		if (!memory)
			throw std::bad_alloc();
		return static_cast<T *>(memory);
	}
	void deallocate(T *memory, std::size_t) { counted_give(memory); }
	bool operator==(const Counting &) const { return true; }
	bool operator!=(const Counting &) const { return false; }
};
#endif
