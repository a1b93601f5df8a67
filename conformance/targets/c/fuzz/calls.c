/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled twice: IMPLEMENTATION is `library`, or `naive` with the renamed functions. */
#include "calls.h"

#define CALL_ENTRY(name) .name = gpamap_##name,
const struct calls IMPLEMENTATION = {EACH_CALL(CALL_ENTRY)};
