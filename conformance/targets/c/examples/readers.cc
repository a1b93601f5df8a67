// SPDX-License-Identifier: Apache-2.0
// The same headers from C++17: a slot moves again and again, and a thread beside sees it at one of its two homes each time.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <thread>

#include <gpamap.h>
#include <gpamap_vhost.h>

namespace {

constexpr std::uint64_t homes[] = {0x100000, 0x400000};

struct Free {
	void operator()(gpamap *map) const { gpamap_destroy(map); }
};

bool at(const gpamap_view *view, std::uint64_t gpa)
{
	gpamap_segment found{};

	return gpamap_lookup(view, 0, gpa, 0, &found) == 0 && found.host == 0x7f0000000000;
}

} // namespace

int main()
{
	gpamap_config config{};
	config.user_slots = 509;
	config.address_spaces = 1;
	config.user_limit = 0x7ffffffff000;
	config.last_gfn = GPAMAP_NO_LAST_GFN;

	gpamap *made = nullptr;
	if (gpamap_create(&config, &made))
		return 1;
	const std::unique_ptr<gpamap, Free> map{made};

	gpamap_region ram{};
	ram.gpa = homes[0];
	ram.size = 0x8000;
	ram.hva = 0x7f0000000000;
	gpamap_reader *reader = nullptr;
	if (gpamap_set_region(map.get(), 1, &ram) || gpamap_reader_create(map.get(), &reader))
		return 1;

	std::atomic<bool> stop{false};
	unsigned lost = 0, looks = 0;
	std::thread beside{[&] {
		while (!stop || looks < 1000) {
			const gpamap_view *view = gpamap_enter(reader);
			lost += at(view, homes[0]) == at(view, homes[1]);
			gpamap_leave(reader);
			looks++;
		}
	}};

	bool moved = true;
	for (unsigned i = 1; i <= 1000; i++) {
		ram.gpa = homes[i % 2];
		moved = gpamap_set_region(map.get(), 1, &ram) == 0 && moved;
	}
	stop = true;
	beside.join();
	std::printf("%s, and lost from sight %u times\n", moved ? "moved 1000 times" : "not moved", lost);
	return 0;
}
