// SPDX-License-Identifier: Apache-2.0
//  Which requests are under way, and which responses are still good.

import ThalwegBase

/// Requests without an identity: nothing is shared, nothing is kept.
class RequestTable<Input, Request, Response, Output> {
    typealias Pending = Fetch<Input, Request, Output>

    var hasCache: Bool { false }
    /// The response to an equal request that is still good.
    func cached(_ request: Request, at now: Int64) -> Response? { nil }
    /// Keeps a response, unless it must not be kept.
    func keep(_ response: Response, for request: Request, at now: Int64) {}
    /// An equal request that is under way.
    func pending(_ request: Request) -> Pending? { nil }
    func begin(_ fetch: Pending) {}
    func end(_ fetch: Pending) {}
    func removeAll() {}
}

/// Requests that can be told apart: equal ones share a call, and responses are kept for a while.
final class SharedRequestTable<Input, Request: Hashable, Response, Output>: RequestTable<
    Input, Request, Response, Output
>
{
    private let isCoalescing: Bool
    private let isMissing: (Response) -> Bool
    private let keepsMisses: Bool
    private var rows: RowCache<Request, Response>?
    private var fetches: [Request: Pending] = [:]

    init(cache: LookupCache?, isCoalescing: Bool, isMissing: @escaping (Response) -> Bool) {
        self.isCoalescing = isCoalescing
        self.isMissing = isMissing
        keepsMisses = cache?.keepsMisses ?? false
        rows = cache.map { RowCache($0) }
    }

    override var hasCache: Bool { rows != nil }
    override func cached(_ request: Request, at now: Int64) -> Response? { rows?.row(of: request, at: now) }

    override func keep(_ response: Response, for request: Request, at now: Int64) {
        if rows != nil && (keepsMisses || !isMissing(response)) { rows?.keep(response, for: request, at: now) }
    }

    override func pending(_ request: Request) -> Pending? { isCoalescing ? fetches[request] : nil }
    override func begin(_ fetch: Pending) { if isCoalescing { fetches[fetch.request] = fetch } }

    override func end(_ fetch: Pending) {
        if isCoalescing && fetches[fetch.request] === fetch { fetches[fetch.request] = nil }
    }

    override func removeAll() {
        fetches = [:]
        rows = nil
    }
}
