// SPDX-License-Identifier: Apache-2.0
//  Restart strategies decide as they are written down.

import Testing
import ThalwegControl

@Test func strategiesAreValues() { #expect(RestartStrategy.none == .none) }
