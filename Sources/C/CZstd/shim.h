// SPDX-License-Identifier: Apache-2.0
// Compression of blocks at rest.
#include <zstd.h>
