// SPDX-License-Identifier: Apache-2.0
//  The exceptions to the house rules, each with its reason. This list may only shrink.

extension Allowance {
    static let all: [Allowance] = [
        Allowance(
            rule: "banned calls", path: "Sources/Runtime/Platform/SystemClock.swift", subject: "clock_gettime(",
            reason: "the real clock itself"),
        Allowance(
            rule: "banned calls", path: "Sources/Runtime/Platform/Ticker.swift", subject: "clock_gettime(",
            reason: "durations shown to people, never to a job"),
        Allowance(
            rule: "banned calls", path: "Sources/Runtime/Platform/WorkerThread.swift", subject: "clock_gettime(",
            reason: "how long a worker's sleep lasts"),
        Allowance(
            rule: "foreign importers", path: "Tests/ConnectTests/FormatsBytesTests.swift", subject: "CZlib",
            reason: "makes the compressed bytes that the reader is tested with"),
    ]
}
