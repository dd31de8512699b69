// SPDX-License-Identifier: Apache-2.0
//  A source whose splits are of chosen lengths, that says who read what, and that can have a bug.

import Synchronization
import Thalweg

/// A numbered tape; record n of tape t is t * 1,000 + n.
struct TapeSplit: SourceSplit {
    var id: String
    var tape: Int64
    var next: Int64 = 0
    var length: Int64
}

/// A bug planted in the source.
enum TapeBug: CaseIterable, Sendable {
    case givesTwice, enumeratorKeepsAll, enumeratorLosesOne
    case readerForgets, readerKeepsFinished, readerNamesTwice, readerNamesAnothers
}

/// What has happened to tapes.
struct TapeNote: Hashable, Sendable {
    enum Event: Sendable { case taken, finished }
    var event: Event
    var tape: Int64
    var subtask: Int
    var time: Int64
    var read: Int64
}

final class TapeLog: Sendable {
    private let notes = Guarded<[TapeNote]>([])

    var all: [TapeNote] { notes.withLock { $0 } }
    func add(_ note: TapeNote) { notes.withLock { $0.append(note) } }
}

struct Tapes: Source {
    typealias Element = Int64
    let kind = "tapes"
    let boundedness = Boundedness.bounded
    var lengths: [Int64]
    var assignment = FixedSplits<TapeSplit>.Assignment.push
    var openMax = Int.max
    var mishaps = Mishaps(at: [])
    var bug: TapeBug?
    /// No tape is read beyond this.
    var pauseAt = Int64.max
    let log = TapeLog()

    var splits: [TapeSplit] {
        lengths.enumerated().map { TapeSplit(id: "tape-\($0)", tape: Int64($0), length: $1) }
    }
    var records: [Int64] {
        lengths.enumerated().flatMap { tape, length in (0..<length).map { Int64(tape) * 1_000 + $0 } }
    }

    func taken(by subtask: Int) -> [Int64] {
        log.all.filter { $0.event == .taken && $0.subtask == subtask }.map(\.tape)
    }

    func makeEnumerator() throws -> TapeEnumerator {
        TapeEnumerator(base: try FixedSplits(splits, assignment: assignment), all: splits, bug: bug)
    }
    func makeReader(_ context: SourceReaderContext) -> TapeReader { TapeReader(self, context) }
}

struct TapeEnumerator: SplitEnumerator {
    var base: FixedSplits<TapeSplit>
    let all: [TapeSplit]
    let bug: TapeBug?
    private var requests = 0

    init(base: FixedSplits<TapeSplit>, all: [TapeSplit], bug: TapeBug?) {
        self.base = base
        self.all = all
        self.bug = bug
    }

    mutating func restore(_ checkpoint: [TapeSplit]) throws { base.restore(checkpoint) }
    mutating func start(_ context: inout EnumeratorContext<TapeSplit>) throws { try base.start(&context) }
    mutating func handleSplitRequest(from subtask: Int, _ context: inout EnumeratorContext<TapeSplit>) throws {
        requests += 1
        if bug == .givesTwice && requests == 5 { return context.assign(all[0], to: subtask) }
        try base.handleSplitRequest(from: subtask, &context)
    }
    mutating func addSplitsBack(
        _ splits: [TapeSplit], from subtask: Int, _ context: inout EnumeratorContext<TapeSplit>
    ) throws { try base.addSplitsBack(splits, from: subtask, &context) }
    func snapshot() -> [TapeSplit] {
        switch bug {
        case .enumeratorKeepsAll: all
        case .enumeratorLosesOne where requests > 3: Array(base.snapshot().dropLast())
        default: base.snapshot()
        }
    }
    static func unassigned(in checkpoint: [TapeSplit]) -> [String] { checkpoint.map(\.id) }
    var holdsBackEventTime: Bool { base.holdsBackEventTime }
}

/// Reads the first of its tapes that is not paused; asks for more when it has none.
final class TapeReader: SourceReader {
    private let source: Tapes
    private let context: SourceReaderContext
    private var splits: [AssignedSplit<TapeSplit>] = []
    private var finished: [TapeSplit] = []
    private var paused: Set<Int32> = []
    private var isComplete = false
    private var hasAsked = false

    init(_ source: Tapes, _ context: SourceReaderContext) {
        self.source = source
        self.context = context
    }

    var openSplitsMax: Int { source.openMax }

    func addSplits(_ splits: [AssignedSplit<TapeSplit>]) throws {
        self.splits += splits
        hasAsked = false
        for split in splits { note(.taken, split.split) }
        // After a restart this is where the reader gets its splits back.
        try source.mishaps.pass()
    }
    func noMoreSplits() { isComplete = true }
    func pause(_ splits: Set<Int32>) { paused = splits }

    private func note(_ event: TapeNote.Event, _ split: TapeSplit) {
        let note = TapeNote(
            event: event, tape: split.tape, subtask: context.subtask, time: context.processingTime.now,
            read: split.next)
        source.log.add(note)
    }

    func snapshot() -> [TapeSplit] {
        let held = splits.map(\.split)
        return switch source.bug {
        case .readerForgets: Array(held.dropLast())
        case .readerKeepsFinished: held + finished
        case .readerNamesTwice: held + held.prefix(1)
        case .readerNamesAnothers:
            held.contains { $0.tape == 0 } ? held : held + source.splits.prefix(1)
        default: held
        }
    }

    func poll(into batch: Batch<Int64>) throws -> ReadStatus {
        guard let at = splits.firstIndex(where: { !paused.contains($0.number) }) else {
            if !splits.isEmpty { return .nothing }
            if isComplete { return .finished }
            if source.assignment == .pull && !hasAsked {
                hasAsked = true
                try context.requestSplit()
            }
            return .nothing
        }
        let (number, split) = (splits[at].number, splits[at].split)
        if split.next >= source.pauseAt { return .nothing }
        try source.mishaps.pass()
        guard split.next < split.length else {
            finished.append(splits.remove(at: at).split)
            note(.finished, split)
            return .splitFinished(number)
        }
        batch.append(split.tape * 1_000 + split.next, time: .min)
        batch.isTimed = false
        batch.split = number
        splits[at].split.next += 1
        return .records
    }
}
