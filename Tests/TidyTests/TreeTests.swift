// SPDX-License-Identifier: Apache-2.0
//  The house rules, applied to this package.

import Testing

@Suite("The tree is tidy")
struct TreeTests {
    @Test("rule", arguments: Rule.all)
    func holds(_ rule: Rule) {
        let findings = rule.findings(in: .current, allowing: Allowance.all)
        #expect(findings.isEmpty, "\(findings.map(\.description).joined(separator: "\n"))")
    }

    @Test("the tree that is read is this package")
    func readsThisPackage() {
        let paths = Set(Tree.current.files.map(\.path))
        #expect(paths.isSuperset(of: ["Package.swift", "Makefile", "ARCHITECTURE.md", ".ci/run"]))
        for room in Rule.rooms {
            #expect(Tree.current.sources.contains { $0.isBelow(room.folder) }, "no file in \(room.folder)")
        }
    }

    @Test("every exception names a rule and gives a reason", arguments: Allowance.all)
    func isExplained(_ allowance: Allowance) {
        #expect(Rule.all.contains { $0.name == allowance.rule })
        #expect(allowance.reason.count >= 15)
    }
}
