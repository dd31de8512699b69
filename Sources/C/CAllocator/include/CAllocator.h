// SPDX-License-Identifier: Apache-2.0
#ifndef CALLOCATOR_H
#define CALLOCATOR_H

/// The version of the allocator in use, as mimalloc counts it (212 is 2.1.2).
int thalweg_allocator_version(void);

#endif
