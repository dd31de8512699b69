// SPDX-License-Identifier: Apache-2.0
//  Snapshots of real jobs, read without their code.

import Testing
