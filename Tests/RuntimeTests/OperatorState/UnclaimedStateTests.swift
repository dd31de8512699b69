// SPDX-License-Identifier: Apache-2.0
//  State of a snapshot that the job no longer has (A8.6).

import Testing
import Thalweg
import ThalwegTesting

@Suite struct UnclaimedStateTests {
    private struct Two: ProcessFunction {
        @State var kept = OperatorListState<Int64>()
        @State var gone = OperatorListState<Int64>()
        mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {
            kept.append(value)
            gone.append(value)
            out.emit(value)
        }
    }

    private struct One: ProcessFunction {
        @State var kept = OperatorListState<Int64>()
        mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {
            kept.append(value)
        }
    }

    private func two(_ env: StreamEnvironment) {
        env.numbers(1...10, name: "numbers").process(Two(), name: "two").write(to: BlackHoleSink())
    }
    private func none(_ env: StreamEnvironment) {
        env.numbers(1...10, name: "numbers").map(name: "plus") { $0 + 1 }.write(to: BlackHoleSink())
    }

    @Test func aStepThatIsGoneIsNamed() async throws {
        let job = OperatorStateJob()
        #expect(try await job.run(2, two).notices.lines.isEmpty)
        let error = await #expect(throws: ThalwegError.self) { try await job.run(2, none) }
        let lost = ["gone", "kept"].map { "step \"two\", state \"\($0)\": the job has no such step" }
        #expect(error?.kind == .job && error?.detail == lost.joined(separator: "; "))
        #expect(error?.hint?.contains("--drop-unclaimed-state") == true)
        let execution = try await job.run(2, drops: true, none)
        #expect(execution.notices.lines == lost.map { "warning: dropped from the snapshot: \($0)" })
        // What was dropped is not carried on: now nothing has to be dropped.
        #expect(try await job.run(2, none).notices.lines.isEmpty)
    }

    @Test func aStateThatIsGoneIsRefusedAndSaidOnce() async throws {
        let job = OperatorStateJob()
        try await job.run(2, two)
        func one(_ env: StreamEnvironment) {
            env.numbers(1...10, name: "numbers").process(One(), name: "two").write(to: BlackHoleSink())
        }
        let gone = "step \"two\", state \"gone\": the step no longer declares it"
        let error = await #expect(throws: ThalwegError.self) { try await job.run(3, one) }
        #expect(error?.kind == .job && error?.detail == gone)
        let first = try await job.run(3, drops: true, one)
        #expect(first.notices.lines == ["warning: dropped from the snapshot: \(gone)"])
        #expect(try job.state(of: "two").states.map(\.name) == ["kept"])
        #expect(try job.state(of: "two").entryCount(of: "kept") == 10)
        #expect(try await job.run(3, one).notices.lines.isEmpty)
    }

    @Test func recordsOnTheirWayToAnInputThatIsGoneAreRefused() async throws {
        let job = OperatorStateJob()
        let schema = try RecordType<Int64>.learn().schema
        let part = StatePart(
            StateDescriptor(operatorName: "plus", name: "$inflight.3", kind: .inFlight, value: schema)
        ) { writer in
            let bytes = [UInt8](repeating: 0, count: 8)
            try bytes.withUnsafeBytes { try writer.add(key: $0, value: $0) }
        }
        try job.store.prepare()
        let file = try job.store.writeSegment(
            checkpoint: 1, name: "plus-0", operators: ["plus"], subtask: 0, parts: [part], isCancelled: { false })
        try job.store.complete(
            SnapshotMetadata(
                checkpoint: 1, kind: "checkpoint", timeMilliseconds: 0, jobName: "job", maxParallelism: 128,
                operators: [.init(name: "plus", parallelism: 1)], files: [try #require(file)]))
        let error = await #expect(throws: ThalwegError.self) { try await job.run(1, none) }
        #expect(error?.detail?.contains("step \"plus\"") == true)
        #expect(try await job.run(1, drops: true, none).notices.lines.count == 1)
    }
}
