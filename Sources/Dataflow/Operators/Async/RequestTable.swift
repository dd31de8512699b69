// SPDX-License-Identifier: Apache-2.0
//  Which requests are under way, and which responses are still good.

import ThalwegBase

/// Requests without an identity: nothing is shared, nothing is kept.
@usableFromInline class RequestTable<Input, Request, Response, Output> {
    @usableFromInline typealias Pending = Fetch<Input, Request, Output>

    @inlinable init() {}

    @inlinable var hasCache: Bool { false }
    /// The response to an equal request that is still good.
    @inlinable
    func cached(_ request: Request, at now: Int64) -> Response? { nil }
    /// Keeps a response, unless it must not be kept.
    @inlinable
    func keep(_ response: Response, for request: Request, at now: Int64) {}
    /// An equal request that is under way.
    @inlinable
    func pending(_ request: Request) -> Pending? { nil }
    @inlinable
    func begin(_ fetch: Pending) {}
    @inlinable
    func end(_ fetch: Pending) {}
    @inlinable
    func removeAll() {}
}

/// Requests that can be told apart: equal ones share a call, and responses are kept for a while.
@usableFromInline
final class SharedRequestTable<Input, Request: Hashable, Response, Output>: RequestTable<
    Input, Request, Response, Output
>
{
    @usableFromInline let isCoalescing: Bool
    @usableFromInline let isMissing: (Response) -> Bool
    @usableFromInline let keepsMisses: Bool
    @usableFromInline var rows: RowCache<Request, Response>?
    @usableFromInline var fetches: [Request: Pending] = [:]

    @inlinable
    init(cache: LookupCache?, isCoalescing: Bool, isMissing: @escaping (Response) -> Bool) {
        self.isCoalescing = isCoalescing
        self.isMissing = isMissing
        keepsMisses = cache?.keepsMisses ?? false
        rows = cache.map { RowCache($0) }
    }

    @inlinable override var hasCache: Bool { rows != nil }
    @inlinable
    override func cached(_ request: Request, at now: Int64) -> Response? { rows?.row(of: request, at: now) }

    @inlinable
    override func keep(_ response: Response, for request: Request, at now: Int64) {
        if rows != nil && (keepsMisses || !isMissing(response)) { rows?.keep(response, for: request, at: now) }
    }

    @inlinable
    override func pending(_ request: Request) -> Pending? { isCoalescing ? fetches[request] : nil }
    @inlinable
    override func begin(_ fetch: Pending) { if isCoalescing { fetches[fetch.request] = fetch } }

    @inlinable
    override func end(_ fetch: Pending) {
        if isCoalescing && fetches[fetch.request] === fetch { fetches[fetch.request] = nil }
    }

    @inlinable
    override func removeAll() {
        fetches = [:]
        rows = nil
    }
}
