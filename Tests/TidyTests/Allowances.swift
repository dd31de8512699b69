// SPDX-License-Identifier: Apache-2.0
//  The exceptions to the house rules, each with its reason. This list may only shrink.

extension Allowance {
    static let all: [Allowance] = [
        Allowance(
            rule: "header", path: "Sources/Tools/thalweg/main.swift",
            reason: "placeholder until the command line tool is written"),
        Allowance(
            rule: "line width", path: "Sources/Base/KeyGroup.swift", ceiling: 121,
            reason: "one comment is over by a column; break the line with its next change"),
        Allowance(
            rule: "line width", path: "Sources/Base/ThalwegError.swift", ceiling: 124,
            reason: "one interpolation is a little long; break the line with its next change"),
    ]
}
