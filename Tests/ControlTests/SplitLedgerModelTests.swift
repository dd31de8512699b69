// SPDX-License-Identifier: Apache-2.0
//  A source of a thousand splits under two hundred failures reads every record exactly once.

import Testing
import ThalwegBase

@testable import ThalwegControl

/// A source, its readers and the shell between them, by chance. Each split has `length` records; what a reader has
/// emitted counts once a checkpoint covers it.
private struct RandomSource {
    /// What is on its way to a reader, in order.
    enum Letter { case split(String), barrier(Int64) }

    struct Reader {
        var inbox: [Letter] = []
        /// Position in each unfinished split.
        var splits: [String: Int] = [:]
        /// Records since the last committed checkpoint, with the checkpoint that covers them.
        var output: [(record: String, checkpoint: Int64?)] = []
        var snapshots: [Int64: [String: Int]] = [:]
        /// Failed, and not given its splits back yet.
        var isRecovering = false
    }

    static let length = 3

    var random: SeededRandom
    var ledger = SplitLedger()
    var readers: [Reader]
    /// The enumerator's own list.
    var unassigned: [String] = []
    var undiscovered: [String]
    var unassignedAt: [Int64: [String]] = [0: []]
    var discoveredAt: [Int64: [String]] = [:]
    var pending: Int64?
    var completed: Int64 = 0
    var next: Int64 = 1
    var committed: [String: Int] = [:]
    var failures = 0
    var completions = 0
    var moves = 0
    /// Splits that the ledger has forgotten.
    var settled = 0

    init(seed: UInt64, splits: Int) {
        random = SeededRandom(seed: seed)
        readers = [Reader](repeating: Reader(), count: Int.random(in: 2...5, using: &random))
        undiscovered = (0..<splits).map { "split-\($0)" }
        discoveredAt[0] = undiscovered
    }

    var isDone: Bool {
        undiscovered.isEmpty && unassigned.isEmpty
            && readers.allSatisfy { $0.inbox.isEmpty && $0.splits.isEmpty && $0.output.isEmpty && !$0.isRecovering }
    }

    mutating func step(mayFail: Bool) throws {
        let subtask = Int.random(in: readers.indices, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<8:
            let count = min(undiscovered.count, Int.random(in: 1...20, using: &random))
            ledger.discover(Array(undiscovered.prefix(count)))
            unassigned += undiscovered.prefix(count)
            undiscovered.removeFirst(count)
        case 8..<20: try assign(to: subtask)
        case 20..<25: handOver(to: subtask)
        case 25..<45: receive(subtask)
        case 45..<85: try read(subtask)
        case 85..<92: begin()
        case 92..<97: try recover(subtask)
        default:
            guard mayFail else { return }
            if Int.random(in: 0..<12, using: &random) == 0 { try failAll() } else { fail(subtask) }
        }
        try completeIfWhole()
    }

    mutating func assign(to subtask: Int) throws {
        guard let split = unassigned.randomElement(using: &random) else { return }
        try ledger.assign(split, to: subtask)
        // The enumerator may not have heard that the reader failed: its letter is lost.
        unassigned.removeAll { $0 == split }
        if !readers[subtask].isRecovering { readers[subtask].inbox.append(.split(split)) }
    }

    /// A reader without splits gets one that another has not begun.
    mutating func handOver(to subtask: Int) {
        guard !readers[subtask].isRecovering, readers[subtask].splits.isEmpty else { return }
        for owner in readers.indices where owner != subtask {
            guard let split = readers[owner].splits.filter({ $0.value == 0 }).keys.max(),
                ledger.mayMove(from: owner, to: subtask)
            else { continue }
            readers[owner].splits[split] = nil
            readers[subtask].splits[split] = 0
            ledger.move(split, to: subtask)
            moves += 1
            return
        }
    }

    mutating func receive(_ subtask: Int) {
        guard !readers[subtask].isRecovering, !readers[subtask].inbox.isEmpty else { return }
        switch readers[subtask].inbox.removeFirst() {
        case .split(let split): readers[subtask].splits[split] = 0
        case .barrier(let checkpoint):
            readers[subtask].snapshots[checkpoint] = readers[subtask].splits
            for index in readers[subtask].output.indices where readers[subtask].output[index].checkpoint == nil {
                readers[subtask].output[index].checkpoint = checkpoint
            }
            ledger.pass(checkpoint, subtask: subtask, splits: readers[subtask].splits.keys.sorted())
        }
    }

    mutating func read(_ subtask: Int) throws {
        guard !readers[subtask].isRecovering, let split = readers[subtask].splits.keys.min(),
            let position = readers[subtask].splits[split]
        else { return }
        readers[subtask].output.append(("\(split)#\(position)", nil))
        readers[subtask].splits[split] = position + 1
        guard position + 1 == Self.length else { return }
        readers[subtask].splits[split] = nil
        try ledger.finish(split, by: subtask)
    }

    mutating func begin() {
        guard pending == nil, !readers.contains(where: \.isRecovering) else { return }
        let checkpoint = next
        next += 1
        pending = checkpoint
        ledger.freeze(checkpoint, unassigned: unassigned)
        unassignedAt[checkpoint] = unassigned
        discoveredAt[checkpoint] = undiscovered
        for subtask in readers.indices { readers[subtask].inbox.append(.barrier(checkpoint)) }
    }

    mutating func completeIfWhole() throws {
        guard let checkpoint = pending, readers.allSatisfy({ $0.snapshots[checkpoint] != nil }) else { return }
        pending = nil
        let violation = ledger.verify(checkpoint)
        #expect(violation == nil)
        completed = checkpoint
        completions += 1
        settled += ledger.settle(checkpoint).count
        for subtask in readers.indices {
            for emitted in readers[subtask].output where emitted.checkpoint != nil {
                committed[emitted.record, default: 0] += 1
            }
            readers[subtask].output.removeAll { $0.checkpoint != nil }
        }
    }

    mutating func fail(_ subtask: Int) {
        failures += 1
        if let checkpoint = pending { ledger.abort(checkpoint) }
        pending = nil
        for index in readers.indices {
            readers[index].inbox.removeAll { if case .barrier = $0 { true } else { false } }
            for place in readers[index].output.indices { readers[index].output[place].checkpoint = nil }
        }
        readers[subtask] = Reader(snapshots: readers[subtask].snapshots, isRecovering: true)
    }

    mutating func recover(_ subtask: Int) throws {
        guard readers[subtask].isRecovering else { return }
        let positions = self.positions
        for returned in ledger.reset([subtask], to: completed, held: Set(positions.keys)) {
            if let position = positions[returned.split] {
                readers[subtask].splits[returned.split] = position
                try ledger.assign(returned.split, to: subtask)
            } else {
                unassigned.append(returned.split)
            }
        }
        readers[subtask].isRecovering = false
    }

    /// The coordinator fails: everything starts from the newest checkpoint.
    mutating func failAll() throws {
        for subtask in readers.indices { fail(subtask) }
        let positions = self.positions
        ledger = SplitLedger(checkpoint: completed)
        unassigned = unassignedAt[completed] ?? []
        undiscovered = discoveredAt[completed] ?? []
        ledger.discover(unassigned + positions.keys)
        for (index, split) in positions.keys.sorted().enumerated() {
            let subtask = index % readers.count
            readers[subtask].splits[split] = positions[split]
            try ledger.assign(split, to: subtask)
        }
        for subtask in readers.indices { readers[subtask].isRecovering = false }
    }

    /// All readers' states in the newest complete checkpoint.
    var positions: [String: Int] {
        readers.reduce(into: [:]) { $0.merge($1.snapshots[completed] ?? [:]) { first, _ in first } }
    }
}

@Test(arguments: 0..<12 as Range<UInt64>) func everyRecordOnce(seed: UInt64) throws {
    let count = seed == 0 ? 1_000 : 200
    var source = RandomSource(seed: seed, splits: count)
    var steps = 0
    while !source.isDone, steps < 200_000 {
        try source.step(mayFail: source.failures < 200)
        steps += 1
    }
    #expect(source.isDone, "not done after \(steps) steps")
    #expect(source.failures >= 50 && source.moves >= 5 && source.completions >= (seed == 0 ? 20 : 5))
    #expect(source.settled > count / 4, "the ledger forgets nothing")
    #expect(source.committed.count == count * RandomSource.length)
    #expect(source.committed.allSatisfy { $0.value == 1 })
}
