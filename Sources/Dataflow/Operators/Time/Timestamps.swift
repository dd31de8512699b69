// SPDX-License-Identifier: Apache-2.0
//  Gives records their event time and the stream its watermarks.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// Writes each record's timestamp and derives watermarks per split.
///
/// Wherever it stands in the chain of a source it still sees which split a batch comes from, so map and filter may come
/// first. Behind an exchange the whole input counts as one split.
public final class TimestampsOperator<Element>: OneInputOperator {
    public let collector: Collector<Element>
    @usableFromInline let timestamp: (Element) throws -> EventTime
    @usableFromInline let outlet: Inlet<Element>
    @usableFromInline let errors: RecordErrorHandler
    @usableFromInline let tracker: WatermarkTracker
    @exclusivity(unchecked) @usableFromInline var seen = 0

    @inlinable
    public init(
        _ timestamp: @escaping (Element) throws -> EventTime, _ strategy: WatermarkStrategy,
        onError policy: RecordErrorPolicy, in context: OperatorContext
    ) {
        self.timestamp = timestamp
        outlet = context.mainOutlet()
        collector = context.mainCollector()
        errors = context.errorHandler(policy)
        tracker = WatermarkTracker(strategy, context, forward: context.signalForwarder())
    }

    @inlinable
    public func process(_ batch: Batch<Element>) throws {
        let (rows, times, count, timestamp) = (batch.rows, batch.times, batch.count, self.timestamp)
        var latest = Int64.min
        var index = 0
        var bad: [Int] = []
        while true {
            do {
                while index < count {
                    let time = try (rows + index).lend(timestamp).milliseconds
                    if !TimestampRange.contains(time) { throw TimestampRange.error(time) }
                    times[index] = time
                    latest = max(latest, time)
                    index &+= 1
                }
                break
            } catch {
                try errors.handle(error, position: "record \(seen + index)", record: String(describing: rows[index]))
                bad.append(index)
                index &+= 1
            }
        }
        seen &+= count
        batch.isTimed = true
        let split = batch.split
        if !bad.isEmpty { remove(bad, from: batch) }
        if batch.count > 0 { try outlet.push(batch) }
        if latest != .min { try tracker.observe(latest: latest, split: split) }
    }

    @usableFromInline
    func remove(_ bad: [Int], from batch: Batch<Element>) {
        var (kept, next) = (0, 0)
        let count = batch.count
        batch.count = 0
        for index in 0..<count {
            if next < bad.count && bad[next] == index {
                (batch.rows + index).deinitialize(count: 1)
                next += 1
            } else {
                if kept != index { (batch.rows + kept).moveInitialize(from: batch.rows + index, count: 1) }
                batch.times[kept] = batch.times[index]
                kept += 1
            }
        }
        batch.count = kept
    }

    @inlinable
    public func flushSides() throws { try errors.flush() }
}

/// The timestamps that arithmetic on windows can bear.
public enum TimestampRange {
    /// Timestamps lie within ± this many milliseconds of 1970: about 36 million years.
    @inlinable public static var limit: Int64 { 1 << 60 }

    @inlinable @inline(__always)
    public static func contains(_ time: Int64) -> Bool {
        // One unsigned comparison for both ends; what wraps around is greater than any time in range.
        UInt64(bitPattern: time &+ limit) <= UInt64(bitPattern: 2 &* limit)
    }

    /// Refuses timestamps out of range, wherever they come from.
    @inlinable
    public static func check(_ times: UnsafePointer<Int64>, count: Int) throws(ThalwegError) {
        for index in 0..<count where times[index] > limit || times[index] < -limit { throw error(times[index]) }
    }

    @inlinable @inline(never)
    public static func error(_ time: Int64) -> ThalwegError {
        ThalwegError(
            .input, "a timestamp is out of range", detail: "\(time) ms since 1970",
            hint: "timestamps are milliseconds and lie within ±2^60")
    }
}

/// The part of the timestamps operator that does not depend on the record type.
public final class WatermarkTracker {
    private var watermarks: SplitWatermarks
    private let strategy: WatermarkStrategy
    private let context: OperatorContext
    private let forward: (Signal) throws -> Void
    private var isEnded = false

    public init(_ strategy: WatermarkStrategy, _ context: OperatorContext, forward: @escaping (Signal) throws -> Void) {
        self.strategy = strategy
        self.context = context
        self.forward = forward
        watermarks = SplitWatermarks(delay: strategy.delay)
        if let alignment = strategy.alignment {
            context.sourceLink?.align(group: alignment.group, drift: alignment.maxDrift)
        }
        scheduleIdleCheck()
    }

    private var now: Int64 { strategy.idleness == nil ? 0 : context.processingTime.now }

    /// Records of a split have passed.
    public func observe(latest: Int64, split: Int32) throws {
        let watermark = watermarks.observe(latest: latest, split: split, now: now)
        if strategy.alignment != nil { context.sourceLink?.report(watermark: watermark, of: split) }
        try signal()
    }

    /// Handles the signals that come from the source; watermarks from upstream are replaced by this operator's own.
    public func handle(_ signal: Signal) throws {
        switch signal {
        case .splitStarted(let split):
            watermarks.start(split: split, now: now)
            try self.signal()
        case .splitFinished(let split):
            watermarks.finish(split: split, now: now)
            if strategy.alignment != nil { context.sourceLink?.report(status: .finished, of: split) }
            try self.signal()
        case .watermark(let watermark):
            // Only the end of time passes: it comes when everything upstream is finished.
            if watermark == .end { try forward(signal) }
        case .end:
            isEnded = true
            try forward(signal)
        case .flush:
            if let link = context.sourceLink, !link.hasBeenAssigned { watermarks.startWithoutSplits() }
            try self.signal()
            try forward(signal)
        case .idle, .active, .barrier:
            try forward(signal)
        }
    }

    private func signal() throws {
        for signal in watermarks.outcome(isHeldBack: context.sourceLink?.holdsBackEventTime == true) {
            if case .watermark(let watermark) = signal {
                context.metrics.watermark.set(Int(watermark.time.milliseconds))
            }
            try forward(signal)
        }
    }

    private func scheduleIdleCheck() {
        guard let timeout = strategy.idleness?.wholeMilliseconds else { return }
        let interval = max(1, timeout / 4)
        context.processingTime.schedule(at: context.processingTime.now + interval) { [weak self] in
            guard let self, !self.isEnded else { return }
            let link = self.context.sourceLink
            let paused = link?.pausedSplits() ?? []
            let now = self.context.processingTime.now
            let idle = self.watermarks.markIdle(timeout: timeout, now: now) { split in
                paused.contains(split) ? now : link?.lastHeldUp
            }
            for split in idle { link?.report(status: .idle, of: split) }
            // Also when none is newly idle: splits may have been waited for the last time.
            try self.signal()
            self.scheduleIdleCheck()
        }
    }
}

extension OperatorInstance {
    /// Wraps a timestamps operator, which replaces the signals of its input by its own.
    @inlinable
    public convenience init<Element>(timestamps op: TimestampsOperator<Element>, in context: OperatorContext) {
        let metrics = context.metrics
        let push: (Batch<Element>) throws -> Void = { batch in
            metrics.recordsIn.add(batch.count)
            try op.process(batch)
            try op.flushSides()
        }
        let tracker = op.tracker
        self.init(pushes: [push], signal: { try tracker.handle($0) })
    }
}
