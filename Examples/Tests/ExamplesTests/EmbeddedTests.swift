// SPDX-License-Identifier: Apache-2.0
//  A job among services.

import Logging
import ServiceLifecycle
import Synchronization
import Testing
import Thalweg

@testable import embedded

@Suite struct EmbeddedTests {
    struct Seven: Error {}

    @Test(.timeLimit(.minutes(10)))
    func endsByItselfWithEveryResult() async throws {
        let means = Mutex<[Mean]>([])
        try await Embedded.run(readings: 150) { mean in means.withLock { $0.append(mean) } }
        let text = means.withLock { $0 }.map { "\($0.room) \($0.minute) \($0.celsius)" }.sorted()
        #expect(
            text == [
                "attic 1970-01-01T00:00:00.000 24.0", "attic 1970-01-01T00:01:00.000 25.0",
                "attic 1970-01-01T00:02:00.000 26.0", "cellar 1970-01-01T00:00:00.000 11.0",
                "cellar 1970-01-01T00:01:00.000 12.0", "cellar 1970-01-01T00:02:00.000 13.0",
            ])
    }

    /// The reader of a stream learns that the job failed instead of waiting for ever.
    @Test(.timeLimit(.minutes(10)))
    func tellsTheReaderOfAFailure() async throws {
        let numbers = StreamOutput<Int64>()
        let env = StreamEnvironment()
        env.read(.sequence(from: 1, through: 10))
            .map { if $0 == 7 { throw Seven() } else { $0 } }
            .write(to: .output(numbers))
        let job = try JobService(env)
        let run = Task { try await job.run() }
        await #expect(throws: ThalwegError.self) { for try await _ in numbers {} }
        await #expect(throws: ThalwegError.self) { try await run.value }
    }

    /// A group that is told to stop stops a job that would go on for ever, and that is no failure.
    @Test(.timeLimit(.minutes(10)))
    func stopsWithItsGroup() async throws {
        let (endless, feed) = AsyncStream.makeStream(of: Int64.self)
        let numbers = StreamOutput<Int64>()
        let env = StreamEnvironment()
        env.read(.async(endless)).write(to: .output(numbers))
        let group = ServiceGroup(services: [try JobService(env)], logger: Logger(label: "test"))
        let run = Task { try await group.run() }
        feed.yield(7)
        for try await number in numbers {
            #expect(number == 7)
            break
        }
        await group.triggerGracefulShutdown()
        try await run.value
        await #expect(throws: ThalwegError.self) { for try await _ in numbers {} }
    }

    /// A reader that is cancelled while it waits stops waiting.
    @Test(.timeLimit(.minutes(10)))
    func aCancelledReaderStops() async throws {
        let reader = Task { for try await _ in StreamOutput<Int64>() {} }
        reader.cancel()
        await #expect(throws: CancellationError.self) { try await reader.value }
    }
}
