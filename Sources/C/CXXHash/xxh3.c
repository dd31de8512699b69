// SPDX-License-Identifier: Apache-2.0
// XXH3 compiled from the library's header, so that nothing has to be linked.
#define XXH_INLINE_ALL
#include "include/CXXHash.h"
#include <xxhash.h>

uint64_t thalweg_xxh3_64(const void *bytes, size_t count) { return XXH3_64bits(bytes, count); }
