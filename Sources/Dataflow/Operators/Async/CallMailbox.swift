// SPDX-License-Identifier: Apache-2.0
//  What calls leave for the task that made them.

import Synchronization
import ThalwegBase

/// Results on their way from the threads of the calls to the task. The only thing the two sides share.
final class CallMailbox<Response: Sendable>: Sendable {
    typealias Message = (call: Int, result: Result<[Response], any Error>)

    private struct Contents {
        var messages: [Message] = []
        var isClosed = false
    }
    private let contents = Guarded(Contents())
    private let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    /// Leaves a result, from any thread. After the operator has been closed nobody looks at it.
    func post(_ call: Int, _ result: Result<[Response], any Error>) {
        let isFirst = contents.withLock { contents in
            guard !contents.isClosed else { return false }
            contents.messages.append((call, result))
            return contents.messages.count == 1
        }
        if isFirst { wake() }
    }

    /// Takes what has been left so far.
    func take() -> [Message] {
        contents.withLock { contents in
            guard !contents.messages.isEmpty else { return [] }
            defer { contents.messages = [] }
            return contents.messages
        }
    }

    func close() {
        contents.withLock { contents in
            contents.isClosed = true
            contents.messages = []
        }
    }
}
