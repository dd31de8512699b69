// SPDX-License-Identifier: Apache-2.0
// What Swift cannot say: cache prefetch hints, the state of a global stream.
#ifndef CTHALWEG_H
#define CTHALWEG_H

#include <stdio.h>

static inline void thalweg_prefetch_read(const void *address) { __builtin_prefetch(address, 0, 3); }
static inline void thalweg_prefetch_write(const void *address) { __builtin_prefetch(address, 1, 3); }

// Whether something that was printed could not be written.
static inline int thalweg_output_failed(void) { return fflush(stdout) != 0 || ferror(stdout) != 0; }

#endif
