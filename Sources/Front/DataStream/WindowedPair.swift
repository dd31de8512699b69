// SPDX-License-Identifier: Apache-2.0
//  Two keyed streams joined by window.

import ThalwegBase
import ThalwegData
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators

/// Two streams, keyed by the same type, cut into common windows.
///
///     orders.keyed(by: \.id).windowed(with: payments.keyed(by: \.order), .tumbling(.hours(1)))
///         .allowedLateness(.minutes(5))
///         .join { order, payment in Paid(order, payment) }
public struct WindowedPair<Key: Hashable & Codable & Sendable, First: Codable & Sendable, Second: Codable & Sendable> {
    public let first: KeyedStream<Key, First>
    public let second: KeyedStream<Key, Second>
    public let assigner: WindowAssigner
    @usableFromInline var lateness = Duration.zero
    @usableFromInline var lateFirst: OutputTag<First>?
    @usableFromInline var lateSecond: OutputTag<Second>?

    @inlinable
    init(_ first: KeyedStream<Key, First>, _ second: KeyedStream<Key, Second>, _ assigner: WindowAssigner) {
        self.first = first
        self.second = second
        self.assigner = assigner
    }

    /// Keeps windows for so long after their end; late records in that time fire an updated result.
    public func allowedLateness(_ lateness: Duration) -> Self {
        var pair = self
        pair.lateness = lateness
        return pair
    }

    /// Sends records of the first stream that come too late for every window to a side output.
    public func lateFirst(to tag: OutputTag<First>) -> Self {
        var pair = self
        pair.lateFirst = tag
        return pair
    }

    /// Sends records of the second stream that come too late for every window to a side output.
    public func lateSecond(to tag: OutputTag<Second>) -> Self {
        var pair = self
        pair.lateSecond = tag
        return pair
    }

    /// Emits a result for each pair of records that share key and window (an inner join).
    @inlinable
    public func join<Output: Sendable>(
        name: String? = nil, _ result: @escaping @Sendable (First, Second) throws -> Output
    ) throws(ThalwegError) -> DataStream<Output> {
        try coGroup(Output.self, name: name ?? "windowJoin") { _, _, firsts, seconds, out in
            for first in firsts {
                for second in seconds { out.emit(try result(first, second)) }
            }
        }
    }

    /// Calls a function with the records of both streams for each key and window that has any: also for outer joins.
    ///
    ///     pair.coGroup(Row.self) { key, window, lefts, rights, out in
    ///         for left in lefts where rights.isEmpty { out.emit(Row(left, nil)) }
    ///     }
    ///
    /// Results carry the window's last millisecond.
    @inlinable
    public func coGroup<Output: Sendable>(
        _ type: Output.Type = Output.self, name: String? = nil,
        _ body: @escaping @Sendable (Key, TimeWindow, [First], [Second], Collector<Output>) throws -> Void
    ) throws(ThalwegError) -> DataStream<Output> {
        let (firstKey, secondKey, assigner, lateness) = (first.key, second.key, self.assigner, self.lateness)
        let (firstTag, secondTag) = (lateFirst?.id, lateSecond?.id)
        let outputs = try LateOutputs.declare(lateFirst, lateSecond)
        let isProcessingTime = assigner.domain == .processingTime
        let grid = try assigner.grid()
        let gap = try grid == nil ? assigner.checkedGap() : 0
        return first.connect(second).step(
            "windowJoin", name: name ?? "coGroup", outputs: outputs,
            details: ["window": "\(assigner)", "lateness": "\(lateness)"]
        ) { context in
            let late = LateHandling(
                first: LateHandling<First>(allowed: lateness, tag: firstTag, in: context),
                second: LateHandling<Second>(allowed: lateness, tag: secondTag, in: context))
            let key = { (side: JoinSide<First, Second>) -> Key in
                switch side {
                case .first(let record): firstKey(record)
                case .second(let record): secondKey(record)
                }
            }
            let emit = { (key: Key, records: JoinedRecords<First, Second>, window: TimeWindow, out: Collector<Output>) in
                try body(key, window, records.first, records.second, out)
            }
            if let grid {
                let panes = try PaneWindowOperator(
                    grid, isProcessingTime: isProcessingTime, aggregate: JoinedElements(), key: key, late: late,
                    in: context, emit: emit)
                return OperatorInstance(TwoSidedOperator(panes, in: context), in: context)
            }
            let sessions = try SessionWindowOperator(
                gap: gap, isProcessingTime: isProcessingTime, aggregate: JoinedElements(), key: key, late: late,
                in: context, emit: emit)
            return OperatorInstance(TwoSidedOperator(sessions, in: context), in: context)
        }
    }
}

extension KeyedStream where Element: Codable {
    /// Cuts this stream and another one into common windows: say what becomes of the records of both.
    @inlinable
    public func windowed<Second: Codable & Sendable>(
        with second: KeyedStream<Key, Second>, _ assigner: WindowAssigner
    ) -> WindowedPair<Key, Element, Second> { WindowedPair(self, second, assigner) }

    /// Emits a result for each pair of records that share key and window (an inner join).
    ///
    ///     orders.keyed(by: \.id).join(payments.keyed(by: \.order), window: .tumbling(.hours(1))) {
    ///         order, payment in Paid(order, payment)
    ///     }
    @inlinable
    public func join<Second: Codable & Sendable, Output: Sendable>(
        _ second: KeyedStream<Key, Second>, window assigner: WindowAssigner, name: String? = nil,
        _ result: @escaping @Sendable (Element, Second) throws -> Output
    ) throws(ThalwegError) -> DataStream<Output> { try windowed(with: second, assigner).join(name: name, result) }

    /// Calls a function with the records of both streams for each key and window that has any.
    @inlinable
    public func coGroup<Second: Codable & Sendable, Output: Sendable>(
        _ second: KeyedStream<Key, Second>, window assigner: WindowAssigner, _ type: Output.Type = Output.self,
        name: String? = nil,
        _ body: @escaping @Sendable (Key, TimeWindow, [Element], [Second], Collector<Output>) throws -> Void
    ) throws(ThalwegError) -> DataStream<Output> {
        try windowed(with: second, assigner).coGroup(Output.self, name: name, body)
    }
}

extension WindowAssigner {
    /// The gap of session windows in milliseconds.
    ///
    /// - Throws: `ThalwegError(.job)` for windows without a gap and gaps out of range.
    @inlinable
    public func checkedGap() throws(ThalwegError) -> Int64 {
        guard let gap = gap?.wholeMilliseconds, gap > 0, gap < 1 << 50 else {
            throw ThalwegError(
                .job, "the window can never fire", detail: "\(self)",
                hint: "give a session a gap of at least 1 ms, and a global window a trigger")
        }
        return gap
    }
}
