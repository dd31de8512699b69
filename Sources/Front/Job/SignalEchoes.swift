// SPDX-License-Identifier: Apache-2.0
//  Tells a signal that was sent twice from two signals.

import UnixSignals

/// Recognises a signal that comes again at once: who ends a process by its group and by its number, as `timeout` of
/// GNU and a terminal behind a wrapper do, means one wish to stop, and not a second one to cancel.
struct SignalEchoes {
    /// How long after a signal another one of the same kind is its echo, in seconds.
    static let echoSeconds = 0.2

    private var last: (signal: UnixSignal, seconds: Double)?

    /// Whether a signal is to be passed over.
    ///
    /// - Parameter seconds: when it comes, from any fixed moment.
    mutating func isEcho(_ signal: UnixSignal, at seconds: Double) -> Bool {
        if let last, last.signal == signal, seconds - last.seconds < Self.echoSeconds { return true }
        last = (signal, seconds)
        return false
    }
}
