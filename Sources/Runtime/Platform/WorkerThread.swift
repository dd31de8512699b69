// SPDX-License-Identifier: Apache-2.0
//  Operating-system threads and their sleep.

import Glibc

/// Lets one thread sleep until others have something for it. Wakes are counted, so none is lost.
final class Parking: @unchecked Sendable {
    // Unchecked: the fields are guarded by the mutex.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var wakes: UInt64 = 0
    private var isSleeping = false

    init() {
        pthread_mutex_init(mutex, nil)
        // Sleeps must not grow when somebody sets the clock back.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// The number of wakes so far; read before looking for work.
    var epoch: UInt64 {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return wakes
    }

    func wake() {
        pthread_mutex_lock(mutex)
        wakes &+= 1
        if isSleeping { pthread_cond_signal(condition) }
        pthread_mutex_unlock(mutex)
    }

    /// Sleeps until a wake that came after `epoch`, or for `milliseconds` at most (nil: without limit).
    func sleep(since epoch: UInt64, atMost milliseconds: Int64?) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        isSleeping = true
        defer { isSleeping = false }
        guard let milliseconds else {
            while wakes == epoch { pthread_cond_wait(condition, mutex) }
            return
        }
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + Int(min(milliseconds, 3_600_000) % 1000) * 1_000_000
        deadline.tv_sec += Int(min(milliseconds, 3_600_000) / 1000) + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        while wakes == epoch {
            if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { return }
        }
    }
}

/// Starts operating-system threads.
enum WorkerThread {
    private final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// The stack of a worker: user functions may recurse.
    static let stackBytes = 8 << 20

    /// Runs `body` on a new detached thread.
    static func start(_ body: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackBytes)
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(body))
        let failure = pthread_create(
            &thread, &attributes,
            { argument in
                if let argument { Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, start.toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(failure == 0, "the system refused a thread (error \(failure)): raise the limit on threads")
    }

    /// The processors this process may use.
    static var processors: Int { max(1, Int(sysconf(CInt(_SC_NPROCESSORS_ONLN)))) }
}
