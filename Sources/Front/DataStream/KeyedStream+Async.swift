// SPDX-License-Identifier: Apache-2.0
//  Asynchronous calls for the records of a keyed stream: results of one key stay in order.

import ThalwegBase
import ThalwegData
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators

extension KeyedStream where Element: Codable {
    /// Returns a stream of the results of an asynchronous function; those of one key keep their order.
    ///
    ///     changes.keyed(by: \.account).asyncMap(.keyOrdered(capacity: 100), timeout: .seconds(2)) { change in
    ///         [try await ledger.describe(change)]
    ///     }
    ///
    /// As `asyncMap` of a stream without keys; the order of each key also
    /// survives a change of parallelism.
    ///
    /// - Throws: `ThalwegError(.job)` for settings that make no sense.
    @inlinable
    public func asyncMap<Output: Sendable>(
        _ order: KeyedAsyncOrder = .keyOrdered(), timeout: Duration?, retry: AsyncRetry = .none,
        retryIf: (@Sendable ([Output]) -> Bool)? = nil,
        onTimeout: (@Sendable (Element) throws -> [Output])? = nil, name: String? = nil,
        onError policy: RecordErrorPolicy = .fail, calls: any AsyncCallExecutor = .concurrent,
        _ call: @escaping @Sendable (Element) async throws -> [Output]
    ) throws(ThalwegError) -> DataStream<Output> {
        let settings = try AsyncSettings(order, timeout: timeout, retry: retry, onError: policy, calls: calls)
        return asyncStep(
            "asyncMap", name: name, settings,
            AsyncPlan(settings, retryIf: retryIf, onTimeout: onTimeout) { [try await call($0[0])] })
    }

    /// Pairs each record with the row of its own key in a table that is asked over the network.
    ///
    /// As `asyncLookup` of a stream without keys; the order of each key also survives a change of parallelism.
    ///
    /// - Throws: `ThalwegError(.job)` for settings that make no sense.
    @inlinable
    public func asyncLookup<Row: Sendable, Output: Sendable>(
        _ order: KeyedAsyncOrder = .keyOrdered(), timeout: Duration?, retry: AsyncRetry = .none,
        retriesMissing: Bool = false, cache: LookupCache? = nil, coalescing: Bool = true,
        onTimeout: (@Sendable (Element) throws -> [Output])? = nil, name: String? = nil,
        onError policy: RecordErrorPolicy = .fail, calls: any AsyncCallExecutor = .concurrent,
        lookup: @escaping @Sendable (Key) async throws -> Row?,
        _ result: @escaping @Sendable (Element, Row?) throws -> [Output]
    ) throws(ThalwegError) -> DataStream<Output> {
        let settings = try AsyncSettings(order, timeout: timeout, retry: retry, onError: policy, calls: calls)
        return asyncStep(
            "asyncLookup", name: name, settings,
            try AsyncPlan(
                settings, by: key, retriesMissing: retriesMissing, cache: cache, coalescing: coalescing,
                onTimeout: onTimeout, lookup: { [try await lookup($0[0])] }, result: result))
    }

    @inlinable
    func asyncStep<Request, Response, Output>(
        _ kind: String, name: String?, _ settings: AsyncSettings,
        _ plan: AsyncPlan<Element, Request, Response, Output>
    ) -> DataStream<Output> {
        let (key, hasher) = (self.key, self.hasher)
        var plan = plan
        plan.keyHash = { hasher.hash(key($0)) }
        let keyed = plan
        return step(kind, name: name, outputs: settings.policy.outputs, details: settings.details) { context in
            OperatorInstance(async: try AsyncOperator(keyed, in: context))
        }
    }
}
