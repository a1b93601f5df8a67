/* SPDX-License-Identifier: Apache-2.0 */
/* Boost.ICL: an interval_map from guest bytes to `host - start`, with closed intervals. */
#include <boost/icl/closed_interval.hpp>
#include <boost/icl/interval_map.hpp>

#include "counting.hpp"

using Interval = boost::icl::closed_interval<uint64_t>;
using Tree = boost::icl::interval_map<uint64_t, uint64_t, boost::icl::partial_enricher, std::less, boost::icl::inplace_plus,
				      boost::icl::inter_section, Interval, Counting>;

struct map {
	Tree tree;
};

#include "loops.h"

static inline uint64_t find(struct map *map, uint64_t address, uint32_t, uint64_t *last)
{
	auto found = map->tree.find(address);

	if (found == map->tree.end())
		return MISS;
	*last = found->first.upper();
	return found->second + address;
}

static inline int insert(struct map *map, const struct region *region)
{
	map->tree.insert({Interval(region->start, region->last), region->host - region->start});
	return 0;
}

static inline int erase(struct map *map, const struct region *region)
{
	map->tree.erase(Interval(region->start, region->last));
	return 0;
}

#define MOVE_BY_INSERT
#include "changes.h"

static void *create_map(const struct region *regions, const uint32_t *order, size_t count)
{
	auto made = new map;

	return fill(made, regions, order, count) ? nullptr : made;
}

static void destroy_map(void *given)
{
	delete static_cast<map *>(given);
}

static size_t bytes_of(void *)
{
	return counted_bytes;
}

#include "contestant.h"
CONTESTANT(CHANGES, NO_READER)
