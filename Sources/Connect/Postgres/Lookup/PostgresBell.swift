// SPDX-License-Identifier: Apache-2.0
//  Wakes a thread that waits for the server.

#if Postgres
    import Glibc
    import ThalwegBase

    /// A pipe: one end is waited for beside a session, the other is written to by whoever wants the wait to end.
    final class PostgresBell: Sendable {
        let waitEnd: Int32
        private let ringEnd: Int32

        init() throws(ThalwegError) {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else {
                throw ThalwegError(
                    .retry, "no pipe for a look-up", detail: String(cString: strerror(errno)),
                    hint: "raise the number of open files (ulimit -n)")
            }
            (waitEnd, ringEnd) = (ends[0], ends[1])
            for end in ends {
                _ = fcntl(end, F_SETFL, O_NONBLOCK)
                _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            }
        }

        deinit {
            close(waitEnd)
            close(ringEnd)
        }

        /// From any thread; never blocks. A pipe that is full has been rung before.
        func ring() {
            var byte: UInt8 = 1
            _ = write(ringEnd, &byte, 1)
        }

        /// Forgets that it was rung.
        func silence() {
            var bytes: [UInt8] = Array(repeating: 0, count: 64)
            while read(waitEnd, &bytes, bytes.count) > 0 {}
        }
    }
#endif
