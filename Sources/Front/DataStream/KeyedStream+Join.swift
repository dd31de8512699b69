// SPDX-License-Identifier: Apache-2.0
//  Joins of two keyed streams.

import ThalwegBase
import ThalwegData
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators

extension KeyedStream where Element: Codable {
    /// Pairs each record with those of another stream, of the same key, that lie within an interval of its time.
    ///
    ///     orders.keyed(by: \.id).intervalJoin(payments.keyed(by: \.order), lower: .zero, upper: .minutes(10)) {
    ///         order, payment in Paid(order, payment)
    ///     }
    ///
    /// Pairs have `second.time` in `first.time + lower ... first.time + upper`, both ends included; the result carries the
    /// later of the two times. Records before the watermark are late: they are counted, or sent to a side output.
    ///
    /// - Throws: `ThalwegError(.job)` when `lower` is greater than `upper`.
    @inlinable
    public func intervalJoin<Second: Codable & Sendable, Output: Sendable>(
        _ second: KeyedStream<Key, Second>, lower: Duration, upper: Duration, name: String? = nil,
        lateFirst: OutputTag<Element>? = nil, lateSecond: OutputTag<Second>? = nil,
        onError policy: RecordErrorPolicy = .fail,
        _ result: @escaping @Sendable (Element, Second) throws -> Output
    ) throws(ThalwegError) -> DataStream<Output> {
        let interval = try JoinInterval(lower: lower, upper: upper)
        let (firstKey, secondKey) = (key, second.key)
        let late = try LateOutputs.declare(lateFirst, lateSecond)
        let details = ["interval": "\(interval.lower) ms ... \(interval.upper) ms"]
        return connect(second).step("intervalJoin", name: name, outputs: late + policy.outputs, details: details) {
            context in
            let first = LateHandling<Element>(allowed: .zero, tag: lateFirst?.id, in: context)
            let second = LateHandling<Second>(allowed: .zero, tag: lateSecond?.id, in: context)
            return OperatorInstance(
                try IntervalJoinOperator(
                    interval, firstKey: firstKey, secondKey: secondKey, lateFirst: first, lateSecond: second,
                    onError: policy, in: context, result: result), in: context)
        }
    }
}

/// The side outputs for late records of a step with two inputs.
@usableFromInline
enum LateOutputs {
    /// - Throws: `ThalwegError(.job)` when both sides write to one id with different types.
    @usableFromInline
    static func declare<First, Second>(
        _ first: OutputTag<First>?, _ second: OutputTag<Second>?
    ) throws(ThalwegError) -> [OutputDeclaration] {
        let outputs = [first?.declaration, second?.declaration].compactMap { $0 }
        if outputs.count == 2 && outputs[0].id == outputs[1].id {
            if outputs[0] == outputs[1] { return [outputs[0]] }
            throw ThalwegError(
                .job, "two side outputs have the same id", detail: "\"\(outputs[0].id)\"",
                hint: "give the late records of each side a tag of their own")
        }
        return outputs
    }
}
