// SPDX-License-Identifier: Apache-2.0
//  Asynchronous calls for each record: enrichment, look-ups.

import ThalwegBase
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators

extension DataStream where Element: Codable {
    /// Returns a stream of the results of an asynchronous function, many calls of which are under way at a time.
    ///
    ///     orders.asyncMap(.ordered(capacity: 100), timeout: .seconds(2), retry: .fixed(attempts: 3, delay: .zero)) {
    ///         order in [try await prices.price(of: order)]
    ///     }
    ///
    /// Results keep the timestamp of their record and never change places with a watermark. Records under way are part
    /// of every checkpoint; after a restart their calls are made again, so a call must not do harm when it is repeated.
    ///
    /// - Parameters:
    ///   - order: the order in which results leave, and how many records a subtask holds.
    ///   - timeout: how long a record may take, all attempts together, from the moment its first call may start; nil is
    ///     for ever: a call that hangs then hangs the job.
    ///   - retry: when a call that threw is repeated.
    ///   - retryIf: whether results are as bad as an error, so that the call is repeated; the last ones count.
    ///   - onTimeout: the results of a record that took too long; without it, that is an error.
    ///   - policy: what becomes of a record whose call threw or took too long.
    ///   - calls: where the calls run.
    ///   - call: gives any number of results. Must not block its thread.
    /// - Throws: `ThalwegError(.job)` for settings that make no sense.
    @inlinable
    public func asyncMap<Output: Sendable>(
        _ order: AsyncOrder = .ordered(), timeout: Duration?, retry: AsyncRetry = .none,
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

    /// Returns a stream of the results of an asynchronous function that takes several records at a time.
    ///
    /// - Parameters:
    ///   - batch: how many records share a call, and how long the first one waits for others.
    ///   - call: gives the results of each record, in the order of the records.
    /// - Throws: `ThalwegError(.job)` for settings that make no sense.
    @inlinable
    public func asyncMap<Output: Sendable>(
        batch: CallBatching, _ order: AsyncOrder = .ordered(), timeout: Duration?, retry: AsyncRetry = .none,
        retryIf: (@Sendable ([Output]) -> Bool)? = nil,
        onTimeout: (@Sendable (Element) throws -> [Output])? = nil, name: String? = nil,
        onError policy: RecordErrorPolicy = .fail, calls: any AsyncCallExecutor = .concurrent,
        _ call: @escaping @Sendable ([Element]) async throws -> [[Output]]
    ) throws(ThalwegError) -> DataStream<Output> {
        let settings = try AsyncSettings(
            order, timeout: timeout, retry: retry, batching: batch, onError: policy, calls: calls)
        return asyncStep(
            "asyncMap", name: name, settings,
            AsyncPlan(settings, retryIf: retryIf, onTimeout: onTimeout, call: call))
    }

    /// Pairs each record with a row of a table that is asked over the network.
    ///
    ///     orders.asyncLookup(
    ///         by: \.customer, timeout: .seconds(2),
    ///         cache: LookupCache(rowsMax: 10_000, expiresAfterWrite: .minutes(10)),
    ///         lookup: { try await customers.find($0) }
    ///     ) { order, customer in [Enriched(order, customer)] }
    ///
    /// - Parameters:
    ///   - key: what the row is looked up by.
    ///   - order: the order in which results leave, and how many records a subtask holds.
    ///   - timeout: how long a record may take, all attempts together; nil is for ever.
    ///   - retry: when a look-up that threw is repeated.
    ///   - retriesMissing: whether a look-up that finds nothing is repeated too: the row may be late.
    ///   - cache: how long rows are kept; nil: each is forgotten at once.
    ///   - coalescing: whether records with equal keys share a look-up that is under way.
    ///   - onTimeout: the results of a record that took too long; without it, that is an error.
    ///   - policy: what becomes of a record whose look-up threw or took too long.
    ///   - calls: where the look-ups run.
    ///   - lookup: finds the row of a key; nil when there is none. Must not block its thread.
    ///   - result: makes the results of a record and its row, on the thread of the job.
    /// - Throws: `ThalwegError(.job)` for settings that make no sense.
    @inlinable
    public func asyncLookup<Key: Hashable & Sendable, Row: Sendable, Output: Sendable>(
        by key: @escaping @Sendable (Element) throws -> Key, _ order: AsyncOrder = .ordered(), timeout: Duration?,
        retry: AsyncRetry = .none, retriesMissing: Bool = false, cache: LookupCache? = nil, coalescing: Bool = true,
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

    /// Pairs each record with a row of a table that is asked for several rows at a time.
    ///
    /// - Parameters:
    ///   - batch: how many keys share a look-up, and how long the first one waits for others.
    ///   - lookup: finds the rows of keys; those it leaves out do not exist.
    /// - Throws: `ThalwegError(.job)` for settings that make no sense.
    @inlinable
    public func asyncLookup<Key: Hashable & Sendable, Row: Sendable, Output: Sendable>(
        by key: @escaping @Sendable (Element) throws -> Key, batch: CallBatching, _ order: AsyncOrder = .ordered(),
        timeout: Duration?, retry: AsyncRetry = .none, retriesMissing: Bool = false, cache: LookupCache? = nil,
        coalescing: Bool = true, onTimeout: (@Sendable (Element) throws -> [Output])? = nil, name: String? = nil,
        onError policy: RecordErrorPolicy = .fail, calls: any AsyncCallExecutor = .concurrent,
        lookup: @escaping @Sendable ([Key]) async throws -> [Key: Row],
        _ result: @escaping @Sendable (Element, Row?) throws -> [Output]
    ) throws(ThalwegError) -> DataStream<Output> {
        let settings = try AsyncSettings(
            order, timeout: timeout, retry: retry, batching: batch, onError: policy, calls: calls)
        return asyncStep(
            "asyncLookup", name: name, settings,
            try AsyncPlan(
                settings, by: key, retriesMissing: retriesMissing, cache: cache, coalescing: coalescing,
                onTimeout: onTimeout,
                lookup: { keys in
                    let rows = try await lookup(keys)
                    return keys.map { rows[$0] }
                }, result: result))
    }

    @inlinable
    func asyncStep<Request, Response, Output>(
        _ kind: String, name: String?, _ settings: AsyncSettings,
        _ plan: AsyncPlan<Element, Request, Response, Output>
    ) -> DataStream<Output> {
        step(kind, name: name, outputs: settings.policy.outputs, details: settings.details) { context in
            OperatorInstance(async: try AsyncOperator(plan, in: context))
        }
    }
}
