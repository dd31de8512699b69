// SPDX-License-Identifier: Apache-2.0
//  The suite for sinks finds what is broken, and passes what is not.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// Where the sinks of these tests write: chunks of records that are visible, and chunks that wait.
private final class Shelf: Sendable {
    struct Contents {
        var visible: [String: [String]] = [:]
        var staged: [String: [String]] = [:]
    }

    let contents = Guarded(Contents())

    var records: [String] { contents.withLock { $0.visible.sorted { $0.key < $1.key }.flatMap(\.value) } }
}

/// A small exactly-once sink, and the ways to break it.
private struct ShelfSink: Sink {
    enum Bug: String, CaseIterable, Sendable {
        case commitsEarly, losesBuffer, cannotRepeat, repeatsTwice, forgetsState, reusesNames, publishesOnClose
        case restoresTwice, abortsAll, reverses, ignoresGivenUp, losesAdopted, skipsEmptied
    }

    let kind = "shelf"
    let shelf: Shelf
    let bug: Bug?

    func makeWriter(_ context: SinkContext) -> ShelfWriter { ShelfWriter(shelf, bug, context) }

    func commit(_ names: [String]) throws {
        try shelf.contents.withLock { contents in
            for name in names {
                if let chunk = contents.staged.removeValue(forKey: name) {
                    contents.visible[name] = chunk
                } else if bug == .cannotRepeat {
                    throw ThalwegError(.bug, "nothing staged")
                } else if bug == .repeatsTwice {
                    let chunk = contents.visible[name] ?? []
                    contents.visible[name] = chunk + chunk
                }
            }
        }
    }

    func abort(_ names: [String]) {
        shelf.contents.withLock { contents in
            for name in names { contents.staged[name] = nil }
            if bug == .abortsAll { contents.staged = [:] }
        }
    }
}

private final class ShelfWriter: SinkWriter {
    let shelf: Shelf
    let bug: ShelfSink.Bug?
    let context: SinkContext
    var records: [String] = []
    var prepared = 0

    init(_ shelf: Shelf, _ bug: ShelfSink.Bug?, _ context: SinkContext) {
        (self.shelf, self.bug, self.context) = (shelf, bug, context)
    }

    func restore(_ states: [[String]]) {
        for (old, list) in states.enumerated() {
            let isMine = old % context.parallelism == context.subtask
            let isTaken = bug == .losesAdopted ? old == context.subtask : isMine
            if isTaken || bug == .restoresTwice { records += list }
        }
    }

    func write(_ batch: Batch<String>) { for row in 0..<batch.count { records.append(batch.rows[row]) } }

    /// Stages everything at every second call; the records between lie in the state.
    func prepare(_ request: PrepareRequest) -> PreparedOutput<String, String> {
        prepared += 1
        guard request.isFinal || prepared % 2 == 0 else {
            return PreparedOutput(state: bug == .forgetsState ? [] : records)
        }
        let digits = String(request.checkpoint)
        let padded = String(repeating: "0", count: 6 - digits.count) + digits
        let name = bug == .reusesNames ? "\(prepared) \(context.subtask)" : "\(padded) \(context.subtask)"
        if bug == .losesBuffer { records.removeLast(records.count % 4) }
        if bug == .reverses { records.reverse() }
        if bug == .skipsEmptied && records.count == 1 { records = [] }
        let records = records
        shelf.contents.withLock {
            if bug == .ignoresGivenUp { $0.staged = $0.staged.filter { !$0.key.hasSuffix(" \(context.subtask)") } }
            if bug == .commitsEarly { $0.visible[name] = records } else { $0.staged[name] = records }
        }
        self.records = []
        return PreparedOutput(committables: [name])
    }

    func close() {
        guard bug == .publishesOnClose, !records.isEmpty else { return }
        let records = records
        shelf.contents.withLock { $0.visible["close \($0.visible.count)"] = records }
    }
}

@Suite struct SinkConformanceTests {
    private func check(_ bug: ShelfSink.Bug?, seeds: Range<UInt64> = 0..<100) throws {
        var plan = SinkPlan()
        plan.publishesEachCheckpoint = false
        try SinkConformance.check(seeds: seeds, plan: plan) { _ in
            let shelf = Shelf()
            return SinkTrial(
                makeSink: { ShelfSink(shelf: shelf, bug: bug) }, record: { "record \($0)" },
                readCommitted: { shelf.records })
        }
    }

    @Test func passesASoundSink() throws { try check(nil, seeds: 0..<150) }

    @Test(arguments: ShelfSink.Bug.allCases)
    fileprivate func findsAPlantedBug(_ bug: ShelfSink.Bug) throws {
        let error = #expect(throws: ThalwegError.self) { try check(bug, seeds: 0..<1_000) }
        #expect(error?.primary == "a sink breaks its contract")
        #expect(error?.detail?.contains("seed") == true && error?.hint?.contains("checkpoint") == true)
    }

    /// The same seed finds the same fault after the same steps.
    @Test func isReproducible() throws {
        let errors = (0..<2).map { _ in #expect(throws: ThalwegError.self) { try check(.forgetsState) } }
        #expect(errors[0]?.description == errors[1]?.description && errors[0] != nil)
    }
}
