// SPDX-License-Identifier: Apache-2.0
//  All that a step with asynchronous calls has been told.

import ThalwegBase
import ThalwegOperator

/// What is the same for all kinds of asynchronous steps (FLIP-12).
public struct AsyncSettings: Sendable {
    public var lanes: AsyncLanes
    /// The most elements, and signals between them, that a subtask holds.
    public var capacity: Int
    /// Milliseconds from the entry of an element to the moment it is given up, all attempts together; nil: never.
    public var timeoutMilliseconds: Int64?
    public var retry: AsyncRetry
    public var batching: CallBatching
    public var policy: RecordErrorPolicy
    public var executor: any AsyncCallExecutor

    /// - Throws: `ThalwegError(.job)` for settings that make no sense.
    public init(
        _ lanes: AsyncLanes, capacity: Int, timeout: Duration?, retry: AsyncRetry = .none,
        batching: CallBatching? = nil, onError policy: RecordErrorPolicy = .fail,
        calls executor: any AsyncCallExecutor = .concurrent
    ) throws(ThalwegError) {
        self.lanes = lanes
        self.capacity = capacity
        timeoutMilliseconds = timeout?.wholeMilliseconds
        self.retry = retry
        self.batching = batching ?? .single
        self.policy = policy
        self.executor = executor
        guard capacity >= 1, (timeoutMilliseconds ?? 1) >= 1, self.batching.countMax >= 1 else {
            throw ThalwegError(
                .job, "the settings of an asynchronous step make no sense",
                detail: "capacity \(capacity), time-out \(timeoutMilliseconds ?? -1) ms, "
                    + "\(self.batching.countMax) elements in a call",
                hint: "use a capacity and a number of elements of 1 at least, and a time-out of 1 ms at least or nil")
        }
        try retry.check()
    }

    public init(
        _ order: AsyncOrder, timeout: Duration?, retry: AsyncRetry = .none, batching: CallBatching? = nil,
        onError policy: RecordErrorPolicy = .fail, calls executor: any AsyncCallExecutor = .concurrent
    ) throws(ThalwegError) {
        try self.init(
            order.lanes, capacity: order.capacity, timeout: timeout, retry: retry, batching: batching,
            onError: policy, calls: executor)
    }

    public init(
        _ order: KeyedAsyncOrder, timeout: Duration?, retry: AsyncRetry = .none, batching: CallBatching? = nil,
        onError policy: RecordErrorPolicy = .fail, calls executor: any AsyncCallExecutor = .concurrent
    ) throws(ThalwegError) {
        try self.init(
            .keys, capacity: order.capacity, timeout: timeout, retry: retry, batching: batching,
            onError: policy, calls: executor)
    }

    /// For plans: the facts by name.
    public var details: [String: String] {
        var details = ["order": lanes == .one ? "ordered" : lanes == .none ? "unordered" : "by key"]
        details["capacity"] = "\(capacity)"
        details["timeout"] = timeoutMilliseconds.map { "\($0) ms" } ?? "none"
        if retry.attempts > 1 { details["attempts"] = "\(retry.attempts)" }
        if batching.countMax > 1 { details["batch"] = "\(batching.countMax)" }
        return details
    }
}

/// How an element becomes a request, what is asked, and how the response becomes results.
///
/// Only `call` runs elsewhere; all other closures run on the thread of the task.
public struct AsyncPlan<Input: Sendable, Request: Sendable, Response: Sendable, Output: Sendable>: Sendable {
    @usableFromInline let settings: AsyncSettings
    @usableFromInline let request: @Sendable (Input) throws -> Request
    @usableFromInline let call: @Sendable ([Request]) async throws -> [Response]
    @usableFromInline var isWorthRetrying: (@Sendable (Response) -> Bool)?
    @usableFromInline let result: @Sendable (Input, Response) throws -> [Output]
    @usableFromInline let onTimeout: (@Sendable (Input) throws -> [Output])?
    @usableFromInline let makeTable: @Sendable () -> RequestTable<Input, Request, Response, Output>
    /// The stable hash of an element's key; nil in a stream without keys.
    public var keyHash: (@Sendable (Input) -> UInt64)?

    /// A plan whose calls take elements and give their results.
    @inlinable
    public init(
        _ settings: AsyncSettings, retryIf isWorthRetrying: (@Sendable ([Output]) -> Bool)?,
        onTimeout: (@Sendable (Input) throws -> [Output])?,
        call: @escaping @Sendable ([Input]) async throws -> [[Output]]
    ) where Request == Input, Response == [Output] {
        self.settings = settings
        request = { $0 }
        self.call = call
        self.isWorthRetrying = isWorthRetrying
        result = { _, outputs in outputs }
        self.onTimeout = onTimeout
        makeTable = { RequestTable() }
    }

    /// A plan whose calls look up rows by key.
    ///
    /// - Throws: `ThalwegError(.job)` for a cache that makes no sense.
    @inlinable
    public init<Row: Sendable>(
        _ settings: AsyncSettings, by request: @escaping @Sendable (Input) throws -> Request, retriesMissing: Bool,
        cache: LookupCache?, coalescing: Bool, onTimeout: (@Sendable (Input) throws -> [Output])?,
        lookup: @escaping @Sendable ([Request]) async throws -> [Row?],
        result: @escaping @Sendable (Input, Row?) throws -> [Output]
    ) throws(ThalwegError) where Request: Hashable, Response == Row? {
        try cache?.check()
        self.settings = settings
        self.request = request
        call = lookup
        isWorthRetrying = nil
        if retriesMissing { isWorthRetrying = { $0 == nil } }
        self.result = result
        self.onTimeout = onTimeout
        let isMissing: @Sendable (Row?) -> Bool = { $0 == nil }
        makeTable = { SharedRequestTable(cache: cache, isCoalescing: coalescing, isMissing: isMissing) }
    }
}
