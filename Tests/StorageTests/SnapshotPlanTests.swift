// SPDX-License-Identifier: Apache-2.0
//  The plan of a job in the metadata of its snapshots.

import Testing
import ThalwegData

@testable import ThalwegStorage

@Suite struct SnapshotPlanTests {
    private let plan = SnapshotPlan(steps: [
        SnapshotPlan.Step(
            name: "orders \"x\"", kind: "source", parallelism: 2, inputs: [], key: nil, details: [:], states: []),
        SnapshotPlan.Step(
            name: "sums", kind: "window", parallelism: 3, inputs: ["orders \"x\""],
            key: RecordSchema(root: .rawValue(.string, cases: ["a", "b c"])), details: ["window": "tumbling"],
            states: [
                StateDescriptor(
                    operatorName: "sums", name: "panes", kind: .pane, key: RecordSchema(root: .scalar(.int64)),
                    userKey: RecordSchema(root: .scalar(.time)), value: RecordSchema(root: .rawValue(.int8)),
                    properties: ["window": "panes 10 10 0 eventTime 0"])
            ]),
    ])

    private func metadata(_ properties: [String: String] = [:]) -> SnapshotMetadata {
        SnapshotMetadata(
            checkpoint: 1, kind: "checkpoint", timeMilliseconds: 0, jobName: "job", maxParallelism: 128, operators: [],
            files: [], properties: properties)
    }

    @Test func comesBackFromMetadata() throws {
        var metadata = metadata()
        #expect(metadata.plan == nil)
        metadata.plan = plan
        let read = try SnapshotMetadata(metadata.encoded())
        #expect(read == metadata && read.plan == plan)
    }

    @Test func whatIsNotUnderstoodCountsAsNone() throws {
        let text = try #require(plan.text)
        #expect(SnapshotPlan(text: text) == plan)
        for damaged in [
            "", "{}", String(text.dropLast()), text.replacing("\"version\":1", with: "\"version\":2"),
            text.replacing("\"kind\":\"pane\"", with: "\"kind\":\"pain\""),
            text.replacing("\"inputs\":[]", with: "\"inputs\":7"),
        ] { #expect(SnapshotPlan(text: damaged) == nil, "\(damaged)") }
    }

    @Test func aPlanThatIsTooLongIsLeftOut() {
        var long = plan
        long.steps[0].details = ["note": String(repeating: "x", count: SnapshotPlan.textBytesMax)]
        #expect(long.text == nil)
        var metadata = metadata(["plan": "old"])
        metadata.plan = long
        #expect(metadata.properties.isEmpty)
        let many = SnapshotPlan(steps: Array(repeating: plan.steps[0], count: SnapshotPlan.stepsMax + 1))
        #expect(many.text == nil)
    }
}
