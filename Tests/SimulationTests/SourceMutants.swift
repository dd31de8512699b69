// SPDX-License-Identifier: Apache-2.0
//  Sources and operators with a planted bug each.

import Thalweg
import ThalwegSimulation

/// A bug planted in a source.
enum SourceBug: String, CaseIterable, Sendable {
    case positionTooFar, positionTooEarly, positionFromStart, losesSplit, finishedSplitAgain
    case enumeratorKeepsAll, enumeratorForgets
}

/// A log's source with a bug.
struct MutantSource: Source {
    typealias Element = Reading
    typealias Split = LogSplit
    let kind = "mutant"
    let boundedness = Boundedness.bounded
    let log: SimulatedLog<Reading>
    let bug: SourceBug

    func makeEnumerator() throws -> MutantEnumerator {
        MutantEnumerator(base: try log.makeEnumerator(), all: (0..<log.partitions).map(LogSplit.init), bug: bug)
    }
    func makeReader(_ context: SourceReaderContext) -> MutantReader { MutantReader(log.makeReader(context), bug) }
}

struct MutantEnumerator: SplitEnumerator {
    var base: FixedSplits<LogSplit>
    let all: [LogSplit]
    let bug: SourceBug

    mutating func restore(_ checkpoint: [LogSplit]) throws { base.restore(checkpoint) }
    mutating func start(_ context: inout EnumeratorContext<LogSplit>) throws { try base.start(&context) }
    mutating func handleSplitRequest(from subtask: Int, _ context: inout EnumeratorContext<LogSplit>) throws {
        try base.handleSplitRequest(from: subtask, &context)
    }
    mutating func addSplitsBack(
        _ splits: [LogSplit], from subtask: Int, _ context: inout EnumeratorContext<LogSplit>
    ) throws { try base.addSplitsBack(splits, from: subtask, &context) }
    func snapshot() -> [LogSplit] {
        switch bug {
        case .enumeratorKeepsAll: all
        case .enumeratorForgets: []
        default: base.snapshot()
        }
    }
    var holdsBackEventTime: Bool { base.holdsBackEventTime }
}

final class MutantReader: SourceReader {
    private let base: LogReader<Reading>
    private let bug: SourceBug
    private var seen: [LogSplit] = []

    init(_ base: LogReader<Reading>, _ bug: SourceBug) {
        self.base = base
        self.bug = bug
    }

    func start() throws { try base.start() }
    func addSplits(_ splits: [AssignedSplit<LogSplit>]) {
        seen += splits.map(\.split)
        base.addSplits(splits)
    }
    func noMoreSplits() { base.noMoreSplits() }
    func pause(_ splits: Set<Int32>) { base.pause(splits) }
    func poll(into batch: Batch<Reading>) throws -> ReadStatus { try base.poll(into: batch) }
    func snapshot() -> [LogSplit] {
        let splits = base.snapshot()
        func moved(by count: Int) -> [LogSplit] {
            splits.map { split in
                var split = split
                split.position = max(0, split.position + count)
                return split
            }
        }
        return switch bug {
        case .positionTooFar: moved(by: 1)
        case .positionTooEarly: moved(by: -1)
        case .positionFromStart: moved(by: -1_000_000)
        case .losesSplit: Array(splits.dropLast())
        case .finishedSplitAgain: seen
        case .enumeratorKeepsAll, .enumeratorForgets: splits
        }
    }
}

/// A bug planted in an operator.
enum OperatorBug: String, CaseIterable, Sendable {
    case valueOutsideState, timerOutsideState, bufferOutsideState
}

/// Group totals that keep something where no snapshot sees it.
struct MutantTotals: KeyedProcessFunction {
    @State var windows = MapState<Int64, Int64>()
    @State var last = ValueState<Int64>()
    var hidden: [Int64: Int64] = [:]
    var timers: Set<[Int64]> = []
    let bug: OperatorBug

    init(bug: OperatorBug) { self.bug = bug }

    mutating func process(_ value: ReadingTotal, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        let start = value.start.milliseconds
        windows[start, default: 0] += value.total
        timers.insert([context.key, start])
        context.registerEventTimeTimer(
            at: EventTime(milliseconds: start + WindowedScenario.windowMilliseconds * 2))
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<String>
    ) {
        let start = time.milliseconds - WindowedScenario.windowMilliseconds * 2
        guard let total = windows[start] else { return }
        windows[start] = nil
        let key = context.key
        if bug == .timerOutsideState && !timers.contains([key, start]) { return }
        let sum = (bug == .valueOutsideState ? hidden[key] : last.value) ?? 0
        hidden[key] = sum + total
        last.value = sum + total
        out.emit("\(key) \(start) \(total) \(sum + total)")
    }
}

/// Holds records back over barriers, and does not say so in its snapshot.
final class HoldingOperator: OneInputOperator {
    let collector: Collector<String>
    private let holds: Int
    private var held: [(String, Int64)] = []

    init(holding count: Int, in context: OperatorContext) {
        collector = context.mainCollector()
        holds = count
    }

    func process(_ batch: Batch<String>) throws {
        for row in 0..<batch.count { held.append((batch.rows[row], batch.time(at: row))) }
        while held.count > holds { collector.emit(held.removeFirst().0) }
    }

    func finish() throws {
        for (line, _) in held { collector.emit(line) }
        held = []
    }
}
