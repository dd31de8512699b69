// SPDX-License-Identifier: Apache-2.0
//  What a running job has to tell people.

import Synchronization
import ThalwegBase

/// What happened to a job while it ran and people should know: restarts, state that was left unread. Any thread.
public final class JobNotices: Sendable {
    private struct Contents {
        var lines: [String] = []
        var listener: (@Sendable (String) -> Void)?
    }

    /// The number of notices that are kept.
    public static let countMax = 1000

    private let contents = Guarded(Contents())

    public init() {}

    /// The newest notices, oldest first.
    public var lines: [String] { contents.withLock { $0.lines } }

    /// Hands every further notice on, from whatever thread it comes.
    public func listen(_ listener: @escaping @Sendable (String) -> Void) {
        contents.withLock { $0.listener = listener }
    }

    func add(_ line: String) {
        let listener = contents.withLock { contents in
            contents.lines.append(line)
            if contents.lines.count > Self.countMax { contents.lines.removeFirst() }
            return contents.listener
        }
        listener?(line)
    }
}
