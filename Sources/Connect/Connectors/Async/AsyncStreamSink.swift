// SPDX-License-Identifier: Apache-2.0
//  A stream consumed as an asynchronous sequence.

import Synchronization
import ThalwegBase
import ThalwegData
import ThalwegOperator

/// Records on their way out of a job to whoever iterates. The job is held up while ``bufferMax`` records wait.
///
/// The sequence ends when the stream does. When the job fails or is stopped before, the sequence throws; the cause is
/// what the job itself throws.
public final class StreamOutput<Element: Sendable>: AsyncSequence, Sendable {
    public typealias AsyncIterator = Iterator
    /// The number of waiting records at which the job pauses.
    public static var bufferMax: Int { 4096 }

    private struct Contents {
        var elements: [Element] = []
        var failure: (any Error)?
        var isEnded = false
        var waiter: CheckedContinuation<Void, Never>?
        var wake: (@Sendable () -> Void)?
    }
    private let contents = Guarded(Contents())

    public init() {}

    var isFull: Bool { contents.withLock { $0.elements.count >= Self.bufferMax } }

    func append(_ batch: Batch<Element>) {
        let waiter = contents.withLock { contents in
            contents.elements.append(contentsOf: UnsafeBufferPointer(start: batch.rows, count: batch.count))
            defer { contents.waiter = nil }
            return contents.waiter
        }
        waiter?.resume()
    }

    func onRoom(_ wake: @escaping @Sendable () -> Void) { contents.withLock { $0.wake = wake } }

    /// Ends the sequence; only the first call counts.
    public func end(_ failure: (any Error)? = nil) {
        let waiter = contents.withLock { contents in
            if !contents.isEnded { contents.failure = failure }
            contents.isEnded = true
            defer { contents.waiter = nil }
            return contents.waiter
        }
        waiter?.resume()
    }

    /// The next records, at least one; nil at the end.
    fileprivate func next() async throws -> [Element]? {
        while true {
            let (elements, isEnded, failure, wake) = contents.withLock { contents in
                defer { contents.elements = [] }
                return (contents.elements, contents.isEnded, contents.failure, contents.wake)
            }
            if !elements.isEmpty {
                wake?()
                return elements
            }
            if let failure { throw failure }
            if isEnded { return nil }
            await withTaskCancellationHandler {
                await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
                    let isReady = contents.withLock { contents in
                        if !contents.elements.isEmpty || contents.isEnded || Task.isCancelled { return true }
                        contents.waiter = waiter
                        return false
                    }
                    if isReady { waiter.resume() }
                }
            } onCancel: {
                let waiter = contents.withLock { contents in
                    defer { contents.waiter = nil }
                    return contents.waiter
                }
                waiter?.resume()
            }
            try Task.checkCancellation()
        }
    }

    public func makeAsyncIterator() -> Iterator { Iterator(output: self) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let output: StreamOutput
        private var elements: [Element] = []
        private var position = 0

        fileprivate init(output: StreamOutput) { self.output = output }

        public mutating func next() async throws -> Element? {
            if position == elements.count {
                guard let more = try await output.next() else { return nil }
                elements = more
                position = 0
            }
            defer { position += 1 }
            return elements[position]
        }
    }
}

/// A sink whose records are iterated outside the job.
public struct StreamOutputSink<Element: Sendable>: Sink {
    public let kind = "asyncSequence"
    let output: StreamOutput<Element>
    public var parallelismMax: Int? { 1 }

    public init(_ output: StreamOutput<Element>) { self.output = output }

    public func makeWriter(_ context: SinkContext) -> Writer {
        output.onRoom(context.wake)
        return Writer(output)
    }

    public final class Writer: SinkWriter {
        private let output: StreamOutput<Element>
        init(_ output: StreamOutput<Element>) { self.output = output }
        public var isHeldUp: Bool { output.isFull }
        public func write(_ batch: Batch<Element>) { output.append(batch) }
        public func prepare(_ request: PrepareRequest) -> PreparedOutput<NoCommittable, NoWriterState> {
            if request.isFinal { output.end() }
            return PreparedOutput()
        }
        public func close() {
            output.end(
                ThalwegError(
                    .task, "the job ended before this stream did", hint: "what the job itself throws says why"))
        }
    }
}

extension Sink {
    /// Lets records be iterated outside the job.
    public static func output<Element: Sendable>(
        _ output: StreamOutput<Element>
    ) -> StreamOutputSink<Element> where Self == StreamOutputSink<Element> { StreamOutputSink(output) }
}
