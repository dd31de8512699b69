// SPDX-License-Identifier: Apache-2.0
//  The code of "Getting started", as far as it is not the example first-job.

import Thalweg

enum GettingStarted {
    static func smallest() async throws {
        let env = StreamEnvironment()
        env.read(.sequence(from: 1, through: 10)).map { $0 * 2 }.write(to: .print())
        try await env.execute()
    }
}
