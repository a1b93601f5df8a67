/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of both headers as members of a structure, so that one program can hold two implementations of them. */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include "gpamap.h"
#include "gpamap_vhost.h"

#define EACH_CALL(call)                                                                                                \
	call(create) call(destroy) call(set_region) call(create_guest_memfd) call(begin) call(commit) call(abort)      \
	call(get_dirty_log) call(clear_dirty_log) call(enable_manual_protect) call(enable_dirty_ring)                  \
	call(reader_create) call(reader_destroy) call(enter) call(leave) call(lookup) call(find_slot) call(slots)      \
	call(hva_range) call(next_dirty) call(access) call(table_create) call(table_destroy) call(table_add)           \
	call(table_remove) call(table_remove_range) call(table_replace) call(table_entries) call(table_translate)      \
	call(device_create) call(device_destroy) call(device_set_owner) call(device_reset_owner)                       \
	call(device_set_features) call(device_set_backend_features) call(device_set_mem_table)                         \
	call(device_add_region) call(device_remove_region) call(device_remove_range) call(device_write)                \
	call(device_read) call(device_translate) call(device_table) call(device_iotlb) call(device_misses)                    \
	call(lookup_again) call(translate) call(next_slot) call(lookup_hva) call(table_reader_create)                  \
	call(table_reader_destroy) call(table_enter) call(table_lookup) call(table_segments)            \
	call(table_begin) call(table_commit) call(table_abort) call(table_lookup_again) call(table_range)

#define CALL_MEMBER(name) __typeof__(&gpamap_##name) name;
struct calls {
	EACH_CALL(CALL_MEMBER)
};

extern const struct calls library; /* libgpamap */
extern const struct calls naive;   /* the naive model, whose functions are renamed when it is compiled */

#endif
