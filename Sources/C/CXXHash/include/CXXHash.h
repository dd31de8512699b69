// SPDX-License-Identifier: Apache-2.0
// The checksum of blocks at rest: xxHash's 64-bit XXH3.
#ifndef THALWEG_CXXHASH_H
#define THALWEG_CXXHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t thalweg_xxh3_64(const void *bytes, size_t count);

// The same hash of bytes that come piece by piece. `create` gives null when memory has run out.
void *thalweg_xxh3_create(void);
void thalweg_xxh3_update(void *state, const void *bytes, size_t count);
uint64_t thalweg_xxh3_digest(const void *state);
void thalweg_xxh3_free(void *state);

#endif
