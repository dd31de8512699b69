// SPDX-License-Identifier: Apache-2.0
//  One life of a sink on trial.

import Thalweg

/// Drives a sink as a job does, in one thread under one seed.
struct SinkLife<S: Sink> where S.Element: Hashable {
    typealias Committable = S.Writer.Committable
    typealias Output = PreparedOutput<Committable, S.Writer.State>

    /// What one subtask prepared at a checkpoint and is not committed yet.
    struct Entry {
        let checkpoint: Int64
        let output: Output
        var isPersisted = false
    }

    /// A completed checkpoint, in bytes.
    struct Stored {
        let checkpoint: Int64
        /// The records before it.
        let position: Int
        let isFinal: Bool
        /// By old subtask.
        var committables: [[[UInt8]]]
        var states: [[[UInt8]]]
    }

    /// Ends an attempt: the job goes back to the last completed checkpoint.
    struct Crash: Error {}

    let trial: SinkTrial<S>
    let plan: SinkPlan
    let seed: UInt64
    let codecs: SinkCodecs<S>
    var random: SeededRandom
    var sink: S?
    var writers: [S.Writer] = []
    var ledgers: [[Entry]] = []
    var parallelismIndex = 0
    var stored: Stored?
    /// The last checkpoint whose output is committed as a whole, by its position.
    var committed = 0
    /// Whether a checkpoint is complete, but its output committed in part or not at all.
    var owesCommit = false
    var checkpoint: Int64 = 0
    /// Whether the writers have prepared for the end: nothing is written to them any more.
    var hasEnded = false
    /// The last states of subtasks whose input has ended before that of the others, by subtask.
    var ended: [Int: [[UInt8]]] = [:]
    /// The greatest number that anything was prepared under.
    var newestNumber: Int64 = 0
    /// The number of the next record.
    var next = 0
    /// Who wrote a record last: the attempts with the same number of subtasks count as one.
    var writerOf: [Int: Int] = [:]
    var numbers: [S.Element: Int] = [:]
    /// The numbers of the records that were visible at the last look.
    var shown: Set<Int> = []
    var isStruck = false
    var trace: [String] = []

    init(_ trial: SinkTrial<S>, _ plan: SinkPlan, _ codecs: SinkCodecs<S>, seed: UInt64) {
        self.codecs = codecs
        self.trial = trial
        self.plan = plan
        self.seed = seed
        random = SeededRandom(seed: seed)
    }

    // MARK: Life

    mutating func live() throws {
        try attempt { try $0.begin() }
        for _ in 0..<plan.steps {
            try attempt { try $0.step() }
            try check()
        }
        while stored?.isFinal != true || owesCommit {
            try attempt { life in
                if life.stored?.isFinal != true {
                    if !life.hasEnded { try life.write() }
                    try life.takeCheckpoint(isFinal: true)
                }
                if life.owesCommit { try life.commit() }
            }
            try check()
        }
        for writer in writers { writer.close() }
        writers = []
        try check()
        guard committed == next else { throw broken("the input ended at record \(next), output at \(committed)") }
        let left = try trial.leftovers()
        guard left.isEmpty else { throw broken("after the end of the job there is left: \(left)") }
    }

    /// Runs a part of a life; crashes, and errors that a fault explains, lead to a restart.
    private mutating func attempt(_ body: (inout SinkLife) throws -> Void) throws {
        do {
            if let faults = trial.faults, chance(15) {
                faults.strike(&random)
                isStruck = true
                note("fault")
            }
            try body(&self)
            mend()
        } catch is Crash {
            mend()
            try restart()
        } catch {
            guard isStruck else { throw broken("it threw", cause: error) }
            note("failed: \(error)")
            mend()
            try restart()
        }
    }

    private mutating func mend() {
        guard isStruck else { return }
        trial.faults?.mend()
        isStruck = false
    }

    private mutating func step() throws {
        switch pick(20) {
        case 0..<10: try write()
        case 10..<11: for (subtask, writer) in writers.enumerated() where ended[subtask] == nil { try writer.flush() }
        case 11..<16: try takeCheckpoint(isFinal: false)
        case 16..<18: if owesCommit { try commit() }
        default: try crash()
        }
    }

    // MARK: Steps

    private var parallelism: Int {
        let wanted = plan.parallelism.isEmpty ? 1 : plan.parallelism[min(parallelismIndex, plan.parallelism.count - 1)]
        return max(1, min(wanted, sink?.parallelismMax ?? wanted))
    }

    private mutating func begin() throws {
        let sink = try trial.makeSink()
        self.sink = sink
        writers = []
        hasEnded = false
        ended = [:]
        for subtask in 0..<parallelism {
            let context = SinkContext(
                name: "sink", subtask: subtask, parallelism: parallelism, isRecoverable: plan.isRecoverable, wake: {})
            writers.append(try sink.makeWriter(context))
        }
        ledgers = writers.map { _ in [] }
    }

    private mutating func write() throws {
        let subtask = pick(writers.count)
        guard ended[subtask] == nil, !writers[subtask].isHeldUp else { return }
        let batch = Batch<S.Element>(capacity: max(1, plan.batchMax))
        for _ in 0...pick(max(1, plan.batchMax)) where !batch.isFull {
            let record = trial.record(next)
            numbers[record] = next
            writerOf[next] = parallelismIndex << 32 | subtask
            batch.append(record, time: .min)
            next += 1
        }
        note("write ..<\(next) in \(subtask)")
        try writers[subtask].write(batch)
    }

    private mutating func takeCheckpoint(isFinal: Bool) throws {
        guard plan.isRecoverable || isFinal else { return }
        hasEnded = isFinal
        checkpoint += 1 + Int64(pick(2))
        note("checkpoint \(checkpoint)\(isFinal ? ", final" : "")")
        var taken = Stored(
            checkpoint: checkpoint, position: next, isFinal: isFinal, committables: [], states: [])
        for subtask in writers.indices {
            if chance(3) { try crash() }
            if ended[subtask] == nil {
                // The last one that is left takes part: the end of all is the final checkpoint.
                let isEarly = !isFinal && plan.isRecoverable && ended.count < writers.count - 1 && chance(8)
                try prepare(subtask, isEarly: isEarly, isFinal: isFinal, &taken)
            }
            if let state = ended[subtask] { taken.states.append(state) }
            taken.committables.append(try codecs.committables.encode(ledgers[subtask].flatMap(\.output.committables)))
        }
        if plan.isRecoverable && chance(15) {
            note("given up")
            return
        }
        for subtask in ledgers.indices {
            for index in ledgers[subtask].indices where !ledgers[subtask][index].isPersisted {
                if chance(3) { try crash() }
                try ledgers[subtask][index].output.persist?()
                ledgers[subtask][index].isPersisted = true
            }
        }
        note("complete")
        stored = taken
        owesCommit = true
        if chance(8) { try crash() }
        if chance(80) { try commit() }
    }

    /// Has a subtask prepare its output. One whose input ends while a checkpoint is under way takes part in that with
    /// its last state, though what it prepares bears the number after it.
    private mutating func prepare(_ subtask: Int, isEarly: Bool, isFinal: Bool, _ taken: inout Stored) throws {
        let number = isEarly ? max(checkpoint, newestNumber) + 1 : checkpoint
        if isEarly { note("subtask \(subtask) ends with number \(number)") }
        newestNumber = max(newestNumber, number)
        let output = try writers[subtask].prepare(
            PrepareRequest(checkpoint: number, isFinal: isFinal || isEarly, time: Int64(trace.count) * 1000))
        ledgers[subtask].append(Entry(checkpoint: checkpoint, output: output))
        let state = try codecs.states.encode(output.state)
        if isEarly { ended[subtask] = state } else { taken.states.append(state) }
    }

    /// Commits the last completed checkpoint, subtask by subtask, now and then twice or not to the end.
    private mutating func commit() throws {
        guard let stored, let sink else { return }
        note("commit \(stored.checkpoint)")
        for subtask in ledgers.indices {
            if chance(8) { try crash() }
            let due = ledgers[subtask].filter { $0.checkpoint <= stored.checkpoint }
            let committables = due.flatMap(\.output.committables)
            for round in 0..<(chance(25) ? 2 : 1) where !committables.isEmpty {
                if round == 1 { note("commit again") }
                try sink.commit(committables)
            }
            for entry in due { try entry.output.publish?.commit() }
            ledgers[subtask].removeAll { $0.checkpoint <= stored.checkpoint }
        }
        committed = stored.position
        owesCommit = false
    }

    private mutating func crash() throws {
        guard plan.isRecoverable else { return }
        let isOrderly = chance(40)
        note(isOrderly ? "failure" : "crash")
        if isOrderly {
            for writer in writers { writer.close() }
            let last = stored?.checkpoint ?? 0
            for ledger in ledgers {
                let lost = ledger.filter { $0.checkpoint > last }
                let committables = lost.flatMap(\.output.committables)
                if !committables.isEmpty { sink?.abort(committables) }
                for entry in lost { entry.output.publish?.abort() }
            }
        }
        throw Crash()
    }

    private mutating func restart() throws {
        if !plan.isRecoverable { throw broken("the job failed, and cannot go on without checkpoints") }
        next = stored?.position ?? 0
        // Nobody uses a number again.
        checkpoint = max(checkpoint, newestNumber)
        writers = []
        if chance(40) { parallelismIndex += 1 }
        note("restart at record \(next) with \(parallelism) subtasks")
        do { try restore() } catch { throw broken("it could not go on", cause: error) }
        try check()
    }

    private mutating func restore() throws {
        let commitsFirst = chance(50)
        if commitsFirst { try recommit() }
        try begin()
        if let stored, stored.states.contains(where: { !$0.isEmpty }) {
            for writer in writers {
                try writer.restore(try stored.states.map { try codecs.states.decode($0) })
            }
        }
        if !commitsFirst { try recommit() }
    }

    /// The output of the checkpoint may not have been committed before the crash.
    private mutating func recommit() throws {
        guard let stored else { return }
        let sink = try trial.makeSink()
        for _ in 0..<(chance(25) ? 2 : 1) {
            for list in stored.committables where !list.isEmpty {
                try sink.commit(try codecs.committables.decode(list))
            }
        }
        committed = stored.position
        owesCommit = false
    }

    // MARK: Chance

    private mutating func pick(_ count: Int) -> Int { Int(random.next() % UInt64(max(1, count))) }
    private mutating func chance(_ percent: Int) -> Bool { pick(100) < percent }
}

// MARK: Checks

extension SinkLife {
    /// Compares what is visible with what was committed.
    private mutating func check() throws {
        let visible: [S.Element]
        do { visible = try trial.readCommitted() } catch { throw broken("its output cannot be read", cause: error) }
        let limit = owesCommit ? stored?.position ?? committed : committed
        var seen: Set<Int> = []
        var last: [SinkLine: Int] = [:]
        for record in visible {
            guard let number = numbers[record] else { throw broken("\(record) is visible and was never written") }
            guard seen.insert(number).inserted else { throw broken("record \(number) is visible twice") }
            guard number < limit else {
                throw broken("record \(number) is visible, though only those before \(limit) are committed")
            }
            if plan.checksOrder, let before = last.updateValue(number, forKey: line(of: number, record)),
                before > number
            {
                throw broken("record \(number) stands behind record \(before), which the same subtask wrote later")
            }
        }
        if let gone = shown.subtracting(seen).min() { throw broken("record \(gone) was visible and is gone") }
        shown = seen
        let isAll = plan.publishesEachCheckpoint || stored?.isFinal == true
        let missing = isAll ? (0..<committed).first { !seen.contains($0) } : skipped(seen, last)
        if let missing {
            throw broken("record \(missing) is missing, though all before \(committed) are committed")
        }
    }

    /// A record that is not visible, though a later one of the same subtask is.
    private func skipped(_ seen: Set<Int>, _ last: [SinkLine: Int]) -> Int? {
        guard plan.checksOrder else { return nil }
        return (0..<committed).first { number in
            !seen.contains(number) && last[line(of: number, trial.record(number))] ?? -1 > number
        }
    }

    /// The records that must stand in order: those of a subtask and a lane.
    private func line(of number: Int, _ record: S.Element) -> SinkLine {
        SinkLine(writer: writerOf[number] ?? -1, lane: trial.lane(record))
    }

    private mutating func note(_ step: String) { trace.append(step) }

    private func broken(_ what: String, cause: (any Error)? = nil) -> ThalwegError {
        ThalwegError(
            .job, "a sink breaks its contract", detail: "\(what) (seed \(seed))",
            hint: "the steps before: " + trace.suffix(30).joined(separator: "; "), cause: cause)
    }
}

/// Records that have an order among each other.
struct SinkLine: Hashable {
    let writer: Int
    let lane: String
}

/// What a checkpoint keeps of a sink, as bytes and back.
final class SinkCodecs<S: Sink> {
    let committables = SinkCodec<S.Writer.Committable>()
    let states = SinkCodec<S.Writer.State>()
}

/// Learns its type when there is something to encode: many sinks keep nothing.
final class SinkCodec<Value: Codable & Sendable> {
    private var codec: RecordCodec<Value>?

    func encode(_ values: [Value]) throws -> [[UInt8]] {
        guard !values.isEmpty else { return [] }
        let codec = try learned()
        return try values.map { try codec.encode($0) }
    }

    func decode(_ list: [[UInt8]]) throws -> [Value] {
        guard !list.isEmpty else { return [] }
        let codec = try learned()
        return try list.map { bytes in try bytes.withUnsafeBytes { try codec.decode($0) } }
    }

    private func learned() throws -> RecordCodec<Value> {
        if let codec { return codec }
        let learned = RecordCodec(try RecordType<Value>.learn())
        codec = learned
        return learned
    }
}
