// SPDX-License-Identifier: Apache-2.0
//  What a house rule is, and how an exception to it is written down.

import Testing

/// A place where a rule is broken.
struct Finding: Sendable, CustomStringConvertible {
    var path: String
    /// Counted from 1; 0 when the finding is about the whole file.
    var line: Int
    /// What an allowance must name: the banned call, the function, or nothing.
    var subject = ""
    /// How much, for rules about size.
    var measure = 0
    var message: String

    var description: String { line > 0 ? "\(path):\(line): \(message)" : "\(path): \(message)" }
}

/// A rule that a machine can check.
struct Rule: Sendable, CustomTestStringConvertible {
    let name: String
    let check: @Sendable (Tree) -> [Finding]

    var testDescription: String { name }

    static let all: [Rule] = [
        header, lineWidth, fileLength, functionLength, folderSize, names, unfinished, markdownTitle,
        foundation, bannedCalls, promises, importDirection, foreignImporters, testingImporters,
    ]

    /// The findings that no allowance excuses, and the allowances that excuse nothing or more than there is.
    func findings(in tree: Tree, allowing allowances: [Allowance]) -> [Finding] {
        let own = allowances.filter { $0.rule == name }
        let found = check(tree)
        let open = found.filter { finding in !own.contains { $0.excuses(finding) } }
        return open + own.compactMap { $0.slack(in: found) }
    }
}

/// A written exception to a rule. The list may only shrink: an exception that is no longer needed is itself a finding.
struct Allowance: Sendable {
    let rule: String
    let path: String
    /// The banned call or the function it is for.
    var subject = ""
    /// For rules about size: the size today. It may be lowered, never raised.
    var ceiling = 0
    let reason: String

    func excuses(_ finding: Finding) -> Bool { concerns(finding) && finding.measure <= ceiling }

    private func concerns(_ finding: Finding) -> Bool { finding.path == path && finding.subject == subject }

    /// A finding when this exception is wider than the tree needs.
    func slack(in found: [Finding]) -> Finding? {
        let largest = found.filter(concerns).map(\.measure).max()
        let note = subject.isEmpty ? "" : " for \(subject)"
        guard let largest else {
            return Finding(path: path, line: 0, message: "the exception\(note) to '\(rule)' is not needed: remove it")
        }
        guard largest < ceiling else { return nil }
        return Finding(path: path, line: 0, message: "the exception\(note) to '\(rule)' can be lowered to \(largest)")
    }
}
