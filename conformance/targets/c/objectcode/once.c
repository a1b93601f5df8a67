/* SPDX-License-Identifier: Apache-2.0 */
/* Translations with the search called, not put into them: so that a proof can say what it promises. */
#define index_at library_index_at
#include "index.h"
#undef index_at

const struct entry *index_at(const struct index *index, uint64_t address);

#include "translate.c"
