// SPDX-License-Identifier: Apache-2.0
//  A thread for work that waits for disks.

import Synchronization
import ThalwegBase

/// Runs pieces of work one after another on a thread of its own, which is started with the first of them.
final class BackgroundThread: BackgroundExecutor {
    private struct Contents {
        var queue: [@Sendable () -> Void] = []
        var isStarted = false
        var isFinishing = false
        var hasEnded = false
        var endings: [@Sendable () -> Void] = []
    }

    private let contents = Guarded(Contents())
    private let parking = Parking()
    private let ended = Parking()

    func submit(_ work: @escaping @Sendable () -> Void) {
        let isFirst = contents.withLock { contents in
            contents.queue.append(work)
            defer { contents.isStarted = true }
            return !contents.isStarted
        }
        if isFirst { WorkerThread.start { self.work() } } else { parking.wake() }
    }

    private func work() {
        while true {
            let epoch = parking.epoch
            let (work, isFinishing) = contents.withLock { contents in
                (contents.queue.isEmpty ? nil : contents.queue.removeFirst(), contents.isFinishing)
            }
            if let work {
                work()
            } else if isFinishing {
                break
            } else {
                parking.sleep(since: epoch, atMost: nil)
            }
        }
        let endings = contents.withLock { contents in
            contents.hasEnded = true
            defer { contents.endings = [] }
            return contents.endings
        }
        ended.wake()
        for ending in endings { ending() }
    }

    /// Waits until everything submitted has been run, then ends the thread. A disk that hangs is not waited for without
    /// end.
    func finish(atMost milliseconds: Int64 = 10_000) {
        let isStarted = contents.withLock { contents in
            contents.isFinishing = true
            return contents.isStarted
        }
        guard isStarted else { return }
        parking.wake()
        let epoch = ended.epoch
        if contents.withLock({ $0.hasEnded }) { return }
        ended.sleep(since: epoch, atMost: milliseconds)
    }

    /// Whether nothing runs and nothing will: everything was done before the wait for it was over.
    var isDone: Bool { contents.withLock { $0.hasEnded || !$0.isStarted } }

    /// Has something done when nothing runs any more: now, or when what a disk holds up has come to its end. Nothing
    /// may be submitted afterwards.
    func whenDone(_ body: @escaping @Sendable () -> Void) {
        let isDone = contents.withLock { contents in
            contents.isFinishing = true
            let isDone = contents.hasEnded || !contents.isStarted
            if !isDone { contents.endings.append(body) }
            return isDone
        }
        if isDone { body() } else { parking.wake() }
    }
}
