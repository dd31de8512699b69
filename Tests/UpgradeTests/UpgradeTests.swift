// SPDX-License-Identifier: Apache-2.0
//  Every edit: the plan says what must become of each state, and a start from a real snapshot does it (D11).

import Testing
import Thalweg

@Suite struct UpgradeTests {
    static let edits = Edit.values + Edit.states + Edit.steps + Edit.windows

    /// The table of all edits, printed when one is wrong.
    @Test func everyEditComesOutAsItMust() async throws {
        var table: [String] = []
        var wrong: [String] = []
        var keeping = 0
        for (number, edit) in Self.edits.enumerated() {
            let found: [String]
            do { found = try await Trial(edit, number).run() } catch { found = ["\(error)"] }
            let keeps = edit.verdicts.contains {
                $0.hasSuffix(": kept") || $0.hasSuffix(": migrated") || $0.hasSuffix(": re-keyed")
            }
            if keeps && !edit.verdicts.contains(where: { $0.hasSuffix(": incompatible") }) { keeping += 1 }
            table.append("\(found.isEmpty ? "right" : "WRONG")  \(edit.name): \(edit.verdicts.joined(separator: ", "))")
            if !found.isEmpty { wrong.append("\(edit.name):\n  \(found.joined(separator: "\n  "))") }
        }
        #expect(wrong.isEmpty, "\(table.joined(separator: "\n"))\n\n\(wrong.joined(separator: "\n"))")
        #expect(Self.edits.count >= 60 && Set(Self.edits.map(\.name)).count == Self.edits.count)
        #expect(keeping >= 45, "\(keeping) of \(Self.edits.count) keep their state")
    }

    /// Every snapshot carries the plan of its job, with states and schemas.
    @Test func snapshotsCarryThePlanOfTheirJob() async throws {
        let edit = try #require(Edit.windows.first)
        let plan = try #require(try await Trial(edit, 1).metadata().plan)
        #expect(plan.steps.map(\.name) == ["numbers", "timestamps", "windows", "rows"])
        #expect(plan.steps.map(\.kind) == ["source", "timestamps", "window", "sink"])
        #expect(plan.steps.map(\.inputs) == [[], ["numbers"], ["timestamps"], ["windows"]])
        let windows = plan.steps[2]
        #expect(windows.parallelism == 2 && windows.key?.description == "int64" && windows.details["window"] != nil)
        let panes = try #require(windows.states.first { $0.name == "panes" })
        #expect(panes.kind == .pane && panes.value?.description == "{count: int32, total: int64}")
        #expect(panes.properties == ["window": "panes 3000 3000 0 eventTime 0"])
    }

    /// Steps that are told apart by their place only are warned of, and two of one name are refused.
    @Test func stepsWithoutNamesOfTheirOwnAreWarnedOf() throws {
        let env = StreamEnvironment()
        let keyed = try env.read(GeneratedSource(0..<10) { $0 }, name: "numbers").keyed { $0 }
        let first = keyed.aggregate(Sum(\.self)) { "\($0) \($1)" }
        let second = keyed.aggregate(Sum(\.self)) { "\($0) \($1)" }
        first.union(second).write(to: BlackHoleSink())
        let disk = MemoryFileSystem()
        let store = CheckpointStore(root: "snapshots", fileSystem: disk)
        try store.prepare()
        try store.complete(
            SnapshotMetadata(
                checkpoint: 1, kind: "checkpoint", timeMilliseconds: 0, jobName: "job", maxParallelism: 128,
                operators: [], files: []))
        let plan = try env.makeUpgradePlan(against: "snapshots", fileSystem: disk)
        #expect(plan.warnings.count == 1 && plan.warnings.first?.contains("\"aggregate-2\"") == true)
        #expect(plan.exitCode == 0 && plan.steps.allSatisfy { $0.outcome == .new })
        _ = first.named("aggregate-2")
        let error = #expect(throws: ThalwegError.self) { try env.makePlan() }
        #expect(error?.primary == "two steps have the same name")
    }

    /// Keys that a function makes one are found when they are read: nothing is lost in silence.
    @Test func keysThatBecomeOneAreRefused() async throws {
        // The plan cannot know it; the start refuses.
        let wrong = try await Trial(Edit.merging, 0).run()
        #expect(wrong.contains { $0.contains("the plan says 0") && $0.contains("two stored keys become one") })
    }
}
