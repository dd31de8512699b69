// SPDX-License-Identifier: Apache-2.0
// What Swift cannot say: cache prefetch hints.
#ifndef CTHALWEG_H
#define CTHALWEG_H

static inline void thalweg_prefetch_read(const void *address) { __builtin_prefetch(address, 0, 3); }
static inline void thalweg_prefetch_write(const void *address) { __builtin_prefetch(address, 1, 3); }

#endif
