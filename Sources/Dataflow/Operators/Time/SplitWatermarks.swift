// SPDX-License-Identifier: Apache-2.0
//  Watermarks per split, merged: a value that decides.

import ThalwegBase
import ThalwegOperator

/// The event time of each split of one subtask and the signals that follow from it.
public struct SplitWatermarks: Sendable {
    struct Split: Sendable {
        let number: Int32
        var latest: Int64 = .min
        var watermark = Watermark.none
        var status = InputStatus.active
        var lastActive: Int64
    }

    private(set) var splits: [Split] = []
    private var current = 0
    private var merged = Watermark.none
    private var isIdle = false
    /// Whether the splits of this subtask are known: when all of them have ended, it is idle.
    private var knowsSplits = false
    /// Whether records come whose split is not known, such as the results of a keyed operator: then the whole input
    /// counts as one split.
    private var isBlind = false
    /// Milliseconds; nil when the stream has no watermarks.
    let delay: Int64?

    /// - Parameter delay: cut to the range of timestamps, so that windows can calculate with every watermark.
    public init(delay: Duration?) {
        self.delay = delay.map { min(max(0, $0.wholeMilliseconds), TimestampRange.limit) }
    }

    /// The merged watermark so far.
    public var watermark: Watermark { merged }

    private mutating func index(of number: Int32, now: Int64) -> Int {
        if current < splits.count && splits[current].number == number { return current }
        current = splits.firstIndex { $0.number == number } ?? splits.count
        if current == splits.count { splits.append(Split(number: number, lastActive: now)) }
        return current
    }

    /// Records of a split, the latest of them at `latest`, have passed. Returns the split's watermark.
    public mutating func observe(latest: Int64, split number: Int32, now: Int64) -> Watermark {
        if number < 0 && !isBlind {
            isBlind = true
            splits.removeAll()
        }
        let index = index(of: number, now: now)
        splits[index].lastActive = now
        if splits[index].status == .idle { splits[index].status = .active }
        if latest > splits[index].latest {
            splits[index].latest = latest
            if let delay {
                // A delay beyond all timestamps gives a watermark before all of them, which says nothing.
                let time = EventTime(milliseconds: latest).advanced(byMilliseconds: -delay - 1)
                if time.milliseconds >= -2 * TimestampRange.limit {
                    splits[index].watermark = max(splits[index].watermark, Watermark(time))
                }
            }
        }
        return splits[index].watermark
    }

    /// A split has been assigned: it holds back event time until its first record.
    public mutating func start(split number: Int32, now: Int64) {
        if !isBlind { _ = index(of: number, now: now) }
        knowsSplits = true
    }

    /// The subtask has no splits for now and is told when that changes.
    public mutating func startWithoutSplits() { knowsSplits = true }

    /// A split has been read to its end.
    public mutating func finish(split number: Int32, now: Int64) {
        if isBlind { return }
        splits[index(of: number, now: now)].status = .finished
        // A finished split is never heard of again.
        splits.removeAll { $0.status == .finished }
        current = 0
    }

    /// Marks splits idle that have been silent since before `deadline` and were not held up.
    ///
    /// - Parameter heldUp: the last time at which the split could not speak (paused, back-pressure), if any.
    public mutating func markIdle(timeout: Int64, now: Int64, heldUp: (Int32) -> Int64?) -> [Int32] {
        var idle: [Int32] = []
        for index in splits.indices where splits[index].status == .active {
            if let time = heldUp(splits[index].number) {
                splits[index].lastActive = max(splits[index].lastActive, time)
            }
            if now - splits[index].lastActive >= timeout {
                splits[index].status = .idle
                idle.append(splits[index].number)
            }
        }
        return idle
    }

    /// What the subtask signals now, in order.
    ///
    /// - Parameter isHeldBack: whether event time has to wait for splits that nobody has taken up yet.
    public mutating func outcome(isHeldBack: Bool = false) -> [Signal] {
        var low: Watermark?
        for split in splits where split.status == .active { low = min(low ?? split.watermark, split.watermark) }
        var signals: [Signal] = []
        if let low {
            if isIdle {
                isIdle = false
                signals.append(.active)
            }
            if low > merged && !isHeldBack {
                merged = low
                signals.append(.watermark(low))
            }
        } else if (knowsSplits || !splits.isEmpty) && !isIdle && !isHeldBack {
            isIdle = true
            signals.append(.idle)
        }
        return signals
    }
}
