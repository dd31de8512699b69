// SPDX-License-Identifier: Apache-2.0
//  A value behind a lock.

import Synchronization

#if THALWEG_SANITIZE_THREAD
    import Glibc

    /// A value behind a lock that the thread sanitizer understands: it follows `pthread_mutex`, but not the standard
    /// library's `Mutex`, whose code is not instrumented and whose every use it reports as a race. Only for sanitized
    /// builds (`make test-tsan`).
    public final class Guarded<Value>: @unchecked Sendable {
        // Unchecked: `value` is touched with the mutex held only.
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private var value: Value

        public init(_ value: Value) {
            self.value = value
            pthread_mutex_init(mutex, nil)
        }

        deinit {
            pthread_mutex_destroy(mutex)
            mutex.deallocate()
        }

        public func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            return try body(&value)
        }
    }
#else
    /// A value behind a lock: the standard library's `Mutex`.
    public typealias Guarded<Value> = Mutex<Value>
#endif
