// SPDX-License-Identifier: Apache-2.0
// Calling one function of mimalloc makes the linker keep the library; its malloc and free replace the C library's.
#include "CAllocator.h"

int mi_version(void);

int thalweg_allocator_version(void) { return mi_version(); }
