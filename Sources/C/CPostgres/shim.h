// SPDX-License-Identifier: Apache-2.0
// The client library of PostgreSQL.
#include <libpq-fe.h>
