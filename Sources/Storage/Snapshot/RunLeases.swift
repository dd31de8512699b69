// SPDX-License-Identifier: Apache-2.0
//  Files of a store that running tasks still build on.

import Synchronization
import ThalwegBase

/// Which files of a checkpoint store tasks of this process hold: those stay, also when no complete checkpoint refers to
/// them. Shared by all threads.
public final class RunLeases: Sendable {
    private struct Held {
        var counts: [String: Int] = [:]
        var released: Set<String> = []
    }

    private let held = Guarded(Held())
    private let remove: (@Sendable (String) -> Void)?

    /// - Parameter remove: removes a file that nobody holds any more, where no checkpoint can refer to it; nil:
    ///   ``takeReleased()`` tells them.
    public init(removing remove: (@Sendable (String) -> Void)? = nil) { self.remove = remove }

    /// Holds a file.
    ///
    /// - Parameter path: relative to the root of the store.
    public func take(_ path: String) -> RunLease {
        held.withLock { held in
            held.counts[path, default: 0] += 1
            held.released.remove(path)
        }
        return RunLease(path, self)
    }

    /// The files that are held, relative to the root of the store.
    public var paths: Set<String> { held.withLock { Set($0.counts.keys) } }

    /// The files that nobody holds any more, each told once, relative to the root of the store: they go unless a
    /// complete checkpoint refers to them; then they are to be told again (``remain(_:)``).
    public func takeReleased() -> Set<String> {
        held.withLock { held in
            defer { held.released = [] }
            return held.released
        }
    }

    /// Files that ``takeReleased()`` has told and that are still there: they are told again.
    public func remain(_ paths: Set<String>) {
        held.withLock { held in held.released.formUnion(paths.filter { held.counts[$0] == nil }) }
    }

    fileprivate func release(_ path: String) {
        let isLast = held.withLock { held in
            let left = (held.counts[path] ?? 1) - 1
            held.counts[path] = left > 0 ? left : nil
            if left <= 0 && remove == nil { held.released.insert(path) }
            return left <= 0
        }
        if isLast { remove?(path) }
    }
}

/// Holds one file of a store as long as it lives.
public final class RunLease: Sendable {
    public let path: String
    private let leases: RunLeases

    fileprivate init(_ path: String, _ leases: RunLeases) {
        self.path = path
        self.leases = leases
    }

    deinit { leases.release(path) }
}

/// A file of a store that stays as long as this is kept.
public struct HeldSegment: Sendable {
    public var file: SegmentFile
    public let lease: RunLease

    public init(_ file: SegmentFile, _ lease: RunLease) {
        self.file = file
        self.lease = lease
    }
}
