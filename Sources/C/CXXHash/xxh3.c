// SPDX-License-Identifier: Apache-2.0
// XXH3 compiled from the library's header, so that nothing has to be linked.
#define XXH_INLINE_ALL
#include "include/CXXHash.h"
#include <xxhash.h>

uint64_t thalweg_xxh3_64(const void *bytes, size_t count) { return XXH3_64bits(bytes, count); }

void *thalweg_xxh3_create(void) {
    XXH3_state_t *state = XXH3_createState();
    if (state) XXH3_64bits_reset(state);
    return state;
}

void thalweg_xxh3_update(void *state, const void *bytes, size_t count) {
    XXH3_64bits_update((XXH3_state_t *)state, bytes, count);
}

uint64_t thalweg_xxh3_digest(const void *state) { return XXH3_64bits_digest((const XXH3_state_t *)state); }

void thalweg_xxh3_free(void *state) { XXH3_freeState((XXH3_state_t *)state); }
