// SPDX-License-Identifier: Apache-2.0
//  What calls leave for the task that made them.

import Synchronization
import ThalwegBase

/// Results on their way from the threads of the calls to the task. The only thing the two sides share.
@usableFromInline final class CallMailbox<Response: Sendable>: Sendable {
    @usableFromInline typealias Message = (call: Int, result: Result<[Response], any Error>)

    @usableFromInline struct Contents {
        @usableFromInline var messages: [Message] = []
        @usableFromInline var isClosed = false

        @inlinable init() {}
    }
    @usableFromInline let contents = Guarded(Contents())
    @usableFromInline let wake: @Sendable () -> Void

    @inlinable
    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    /// Leaves a result, from any thread. After the operator has been closed nobody looks at it.
    @inlinable
    func post(_ call: Int, _ result: Result<[Response], any Error>) {
        let isFirst = contents.withLock { contents in
            guard !contents.isClosed else { return false }
            contents.messages.append((call, result))
            return contents.messages.count == 1
        }
        if isFirst { wake() }
    }

    /// Takes what has been left so far.
    @inlinable
    func take() -> [Message] {
        contents.withLock { contents in
            guard !contents.messages.isEmpty else { return [] }
            defer { contents.messages = [] }
            return contents.messages
        }
    }

    @inlinable
    func close() {
        contents.withLock { contents in
            contents.isClosed = true
            contents.messages = []
        }
    }
}
