/* SPDX-License-Identifier: Apache-2.0 */
/* Where the fields of the structures are, for proofs about object code. */
#include "internal.h"
#include "table.h"
#include "message.c"

#define FIELDS(FIELD, SIZE)                                                                                         \
	FIELD(gpamap_config, user_slots) FIELD(gpamap_config, address_spaces) FIELD(gpamap_config, user_limit)       \
	FIELD(gpamap_region, slot) FIELD(gpamap_region, flags) FIELD(gpamap_region, gpa) FIELD(gpamap_region, size)   \
	FIELD(gpamap_region, hva) FIELD(slot, first) FIELD(slot, host) FIELD(slot, flags) FIELD(slot, item.span)      \
	FIELD(slot, word) SIZE(slot)                                                                                  \
	FIELD(message, framing) FIELD(message, iova) FIELD(message, size) FIELD(message, uaddr)                       \
	FIELD(message, perm) FIELD(message, kind) SIZE(message)                                                       \
	FIELD(gpamap_device, has_iotlb) FIELD(gpamap_device, config.user_limit) SIZE(gpamap_device)                   \
	FIELD(gpamap_segment, first) FIELD(gpamap_segment, last) FIELD(gpamap_segment, host) SIZE(gpamap_segment)     \
	FIELD(gpamap_reach, bytes) FIELD(gpamap_reach, segments)                                                      \
	FIELD(entry, start) FIELD(entry, reach) FIELD(entry, delta) FIELD(entry, item) SIZE(entry)                    \
	FIELD(step, place) FIELD(step, entry) FIELD(step, last) SIZE(gpamap_config) SIZE(gpamap_region)

struct step {
	size_t place;
	const struct entry *entry;
	const struct entry *last;
};

#define FIELD_NAME(kind, field) #kind "." #field " "
#define SIZE_NAME(kind) #kind ".sizeof "
#define FIELD_AT(kind, field) offsetof(struct kind, field),
#define SIZE_OF(kind) sizeof(struct kind),

const char *layout_names = FIELDS(FIELD_NAME, SIZE_NAME);
const uint64_t layout_numbers[] = {FIELDS(FIELD_AT, SIZE_OF)};
