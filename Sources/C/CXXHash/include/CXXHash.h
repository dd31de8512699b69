// SPDX-License-Identifier: Apache-2.0
// The checksum of blocks at rest: xxHash's 64-bit XXH3.
#ifndef THALWEG_CXXHASH_H
#define THALWEG_CXXHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t thalweg_xxh3_64(const void *bytes, size_t count);

#endif
