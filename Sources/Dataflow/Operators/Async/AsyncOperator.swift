// SPDX-License-Identifier: Apache-2.0
//  One asynchronous call for each element.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegStorage

/// Lets elements wait for calls that run elsewhere, and their results leave in order (FLIP-12).
///
/// Elements enter the queue while it has room; those for which there is none wait in front of it, and the operator is
/// held up: it takes no input, but completions, time-outs and retries go on. Signals keep their place among the
/// elements. Every element has exactly one outcome: results, or an error for the policy. Whatever comes later is
/// counted and ignored.
///
/// All of it happens on the task's thread, except the calls, which leave their results in the mailbox.
public final class AsyncOperator<
    Input: Codable & Sendable, Request: Sendable, Response: Sendable, Output: Sendable
> {
    @usableFromInline typealias Entry = AsyncEntry<Input, Request, Output>
    @usableFromInline typealias Pending = Fetch<Input, Request, Output>

    /// What came in and found no room.
    @usableFromInline enum Arrival {
        case element(Input, time: Int64, split: Int32)
        case signal(Signal)
    }

    /// A call under way.
    @usableFromInline struct Call {
        @usableFromInline let fetches: [Pending]
        /// The fetches that somebody waits for.
        @usableFromInline var live: Int
        @usableFromInline let started: Int64
        @usableFromInline let handle: AsyncCallHandle

        @inlinable
        init(fetches: [Pending], live: Int, started: Int64, handle: AsyncCallHandle) {
            self.fetches = fetches
            self.live = live
            self.started = started
            self.handle = handle
        }
    }

    @usableFromInline let plan: AsyncPlan<Input, Request, Response, Output>
    @usableFromInline let context: OperatorContext
    @usableFromInline let metrics: AsyncMetrics
    @usableFromInline let mailbox: CallMailbox<Response>
    @usableFromInline let table: RequestTable<Input, Request, Response, Output>
    @usableFromInline let codec: RecordCodec<AsyncInput<Input>>
    @usableFromInline let schema: RecordSchema
    @usableFromInline let collector: Collector<Output>
    @usableFromInline let errors: RecordErrorHandler
    @usableFromInline let forward: (Signal) throws -> Void

    @usableFromInline var waiting = Fifo<Arrival>()
    @usableFromInline var queue = EmissionQueue<Input, Request, Output>()
    @usableFromInline var unresolved = WaitingList<Input, Request, Output>()
    @usableFromInline var calls: [Int: Call] = [:]
    @usableFromInline var callCount = 0
    /// By when calls have to have ended, in order; those that have ended before are passed over.
    @usableFromInline var callDeadlines = Fifo<(call: Int, deadline: Int64)>()
    /// Requests that wait for others to share a call with, and until when.
    @usableFromInline var forming: [Pending] = []
    @usableFromInline var formingDue: Int64?
    @usableFromInline var retries = DueQueue<Pending>()
    /// When the next timer fires.
    @usableFromInline var armed = Int64.max
    /// Processing time, read once per turn.
    @usableFromInline var now = Int64.min
    @usableFromInline var entered = 0
    @usableFromInline var hasEnded = false
    @usableFromInline var owesFlush = false
    @usableFromInline var isClosed = false

    @inlinable
    public init(_ plan: AsyncPlan<Input, Request, Response, Output>, in context: OperatorContext) throws {
        self.plan = plan
        self.context = context
        metrics = context.metrics.async
        mailbox = CallMailbox(wake: context.wake)
        table = plan.makeTable()
        collector = context.mainCollector()
        errors = context.errorHandler(plan.settings.policy)
        forward = context.signalForwarder()
        let type = try RecordType<AsyncInput<Input>>.learn()
        codec = RecordCodec(type)
        schema = type.schema
    }

    // MARK: What the runtime calls

    @inlinable
    func process(_ batch: Batch<Input>) throws {
        context.metrics.recordsIn.add(batch.count)
        metrics.waiting.add(batch.count)
        let (times, isTimed, split) = (batch.times, batch.isTimed, batch.split)
        batch.drain { index, value in
            waiting.append(.element(value, time: isTimed ? times[index] : .min, split: split))
        }
        _ = try work()
    }

    @inlinable
    func signal(_ signal: Signal) throws {
        switch signal {
        case .barrier, .flush:
            // What is under way is part of the snapshot: a barrier waits for nothing.
            try forward(signal)
            return
        case .end: hasEnded = true
        case .watermark, .idle, .active, .splitStarted, .splitFinished: break
        }
        if case .signal(let last) = waiting.last, signal.follows(last) {
            waiting.last = .signal(signal)
        } else {
            waiting.append(.signal(signal))
        }
        _ = try work()
    }

    /// Whether there is no room for another element.
    @inlinable var isHeldUp: Bool { !waiting.isEmpty || queue.count >= plan.settings.capacity }
    @inlinable var isDrained: Bool { waiting.isEmpty && queue.isEmpty }

    /// Emits what is ready and lets in what waits; at the first pause the steps behind are told of it.
    @inlinable
    func pump() throws -> Bool {
        if try work() {
            owesFlush = true
            return true
        }
        // Nothing follows the end.
        if owesFlush && !(hasEnded && isDrained) {
            owesFlush = false
            try forward(.flush)
        }
        return false
    }

    @inlinable
    func close() {
        isClosed = true
        mailbox.close()
        for call in calls.values { call.handle.cancel() }
        calls = [:]
        callDeadlines.removeAll()
        unresolved.removeAll()
        queue.removeAll()
        waiting.removeAll()
        retries.removeAll()
        forming = []
        table.removeAll()
    }

    // MARK: A turn

    /// Completions, departures and entries, until there is nothing to do.
    @inlinable
    func work() throws -> Bool {
        now = context.processingTime.now
        var didWork = false
        var didStep = true
        while didStep {
            didStep = try takeCompletions()
            while let departure = queue.next() {
                try depart(departure)
                didStep = true
            }
            while queue.count < plan.settings.capacity, let arrival = waiting.popFirst() {
                try admit(arrival)
                didStep = true
            }
            didWork = didWork || didStep
        }
        // When nothing more can come in, a call that waits for more elements would wait for nothing.
        if !forming.isEmpty && (hasEnded || queue.count >= plan.settings.capacity) { launchForming() }
        if didWork {
            try collector.flush()
            try errors.flush()
            metrics.inFlight.set(queue.count)
        }
        arm()
        return didWork
    }

    @inlinable
    func takeCompletions() throws -> Bool {
        let messages = mailbox.take()
        for message in messages { try complete(message) }
        return !messages.isEmpty
    }

    @inlinable
    func admit(_ arrival: Arrival) throws {
        switch arrival {
        case .signal(let signal):
            if queue.isEmpty { try apply(signal) } else { queue.append(signal) }
        case .element(let input, let time, let split):
            metrics.waiting.add(-1)
            entered += 1
            let lane: UInt64? =
                switch plan.settings.lanes {
                case .one: 0
                case .none: nil
                case .keys: plan.keyHash?(input) ?? 0
                }
            let (deadline, overflow) = now.addingReportingOverflow(plan.settings.timeoutMilliseconds ?? .max)
            let entry = Entry(
                input, time: time, split: split, sequence: entered - 1, deadline: overflow ? .max : deadline,
                lane: lane)
            queue.append(entry)
            unresolved.append(entry)
            try request(for: entry)
        }
    }

    /// Gives an element its outcome; only the first one counts.
    @inlinable
    func resolve(_ entry: Entry, _ outcome: Result<[Output], any Error>) throws {
        guard entry.outcome == nil else { return }
        entry.outcome = outcome
        entry.fetch = nil
        unresolved.remove(entry)
        queue.resolved(entry)
        // A job that will fail does so at once, not when it is the element's turn.
        if case .failure(let error) = outcome, case .fail = plan.settings.policy { try reject(entry, error) }
    }

    @inlinable
    func reject(_ entry: Entry, _ error: any Error) throws {
        context.recordClock.time = entry.time
        try errors.handle(error, position: "record \(entry.sequence)", record: String(describing: entry.input))
    }

    @inlinable
    func depart(_ departure: EmissionQueue<Input, Request, Output>.Departure) throws {
        switch departure {
        case .signal(let signal): try apply(signal)
        case .element(let entry):
            switch entry.outcome {
            case .success(let outputs):
                if collector.split != entry.split {
                    try collector.flush()
                    collector.split = entry.split
                }
                for output in outputs { collector.emit(output, at: entry.time) }
            case .failure(let error): try reject(entry, error)
            case nil: break
            }
        }
    }

    @inlinable
    func apply(_ signal: Signal) throws {
        try collector.flush()
        try errors.flush()
        if case .watermark(let watermark) = signal {
            context.recordClock.watermark = watermark.time.milliseconds
            context.metrics.watermark.set(Int(watermark.time.milliseconds))
        }
        try forward(signal)
    }

    // MARK: Time

    /// Has the timer fire when something is due.
    @inlinable
    func arm() {
        let deadline = unresolved.first?.deadline ?? .max
        let next = min(deadline, retries.nextTime ?? .max, formingDue ?? .max, nextCallDeadline ?? .max)
        guard next < armed else { return }
        armed = next
        context.processingTime.schedule(at: next) { [weak self] in try self?.onDue() }
    }

    @inlinable
    func onDue() throws {
        guard !isClosed else { return }
        now = context.processingTime.now
        if armed <= now { armed = .max }
        // What has come in time, but has not been looked at, is not late.
        _ = try takeCompletions()
        try expire()
        giveUpHungCalls()
        resendDue()
        if let due = formingDue, due <= now { launchForming() }
        arm()
    }
}

extension OperatorInstance {
    /// Wraps an operator with asynchronous calls.
    @inlinable
    public convenience init<Input, Request, Response, Output>(
        async op: AsyncOperator<Input, Request, Response, Output>
    ) {
        let push: (Batch<Input>) throws -> Void = { try op.process($0) }
        self.init(
            pushes: [push], signal: { try op.signal($0) }, isHeldUp: { op.isHeldUp }, pump: { try op.pump() },
            isDrained: { op.isDrained }, snapshot: { try op.snapshot(into: &$0) },
            declare: { try op.declare(&$0) }, restore: { try op.restore(from: $0) }, close: { op.close() })
    }
}
