// SPDX-License-Identifier: Apache-2.0
//  Locks by which runs keep out of each other's directories.

import Synchronization
import ThalwegBase

/// A lock that is held until it is let go of, or until nobody refers to it any more.
public protocol FileLock: AnyObject, Sendable {
    /// Lets go of it; more than once does no harm.
    func release()
}

/// The locks of a disk that lives in this process.
public final class LockTable: Sendable {
    private let owners = Guarded<[String: (owner: String, lock: Int)]>([:])
    private let count = Guarded(0)

    public init() {}

    /// - Throws: ``heldError(_:by:)`` when somebody has it.
    public func lock(_ path: String, for owner: String) throws(ThalwegError) -> any FileLock {
        let number = count.withLock { count in
            count += 1
            return count
        }
        let holder = owners.withLock { owners -> String? in
            if let held = owners[path] { return held.owner }
            owners[path] = (owner, number)
            return nil
        }
        if let holder { throw Self.heldError(path, by: holder) }
        return Held(path, number, in: self)
    }

    /// Forgets all locks, as when the processes that held them are dead.
    public func clear() { owners.withLock { $0 = [:] } }

    /// The error of a lock that somebody has: kind `retry`, as it ends with its holder.
    public static func heldError(_ path: String, by holder: String) -> ThalwegError {
        ThalwegError(.retry, heldPrimary, detail: "\(path) is held by \(holder)", hint: "wait until it ends")
    }

    /// By this the error is known.
    public static let heldPrimary = "a lock is held by somebody else"

    private final class Held: FileLock {
        let path: String
        let number: Int
        let table: LockTable

        init(_ path: String, _ number: Int, in table: LockTable) {
            (self.path, self.number, self.table) = (path, number, table)
        }

        deinit { release() }

        func release() {
            table.owners.withLock { owners in if owners[path]?.lock == number { owners[path] = nil } }
        }
    }
}
