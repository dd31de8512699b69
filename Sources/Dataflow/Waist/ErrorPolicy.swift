// SPDX-License-Identifier: Apache-2.0
//  What happens to a record that cannot be processed.

import ThalwegBase

/// What an operator or source does when a record makes it fail.
public enum RecordErrorPolicy: Sendable, Hashable {
    /// The job fails, naming operator, record and cause.
    case fail
    /// The record is left out; one more than `limit` fails the job.
    case skip(limit: Int = .max)
    /// The record is described to a side output; read it with `sideOutput(tag)`.
    case deadLetter(OutputTag<DeadLetter>)
}

/// The description of a record that could not be processed.
public struct DeadLetter: Codable, Sendable, Hashable {
    /// The operator or source that failed.
    public var operatorName: String
    /// Where the record was: the number of the record in the operator's subtask, or file and byte offset for a source.
    public var position: String
    /// What went wrong.
    public var error: String
    /// The record as text, cut to `DeadLetter.recordBytesMax` bytes.
    public var record: String

    /// The most bytes of a record that a dead letter carries.
    public static var recordBytesMax: Int { 4096 }

    public init(operatorName: String, position: String, error: String, record: String) {
        self.operatorName = operatorName
        self.position = position
        self.error = error
        self.record =
            record.utf8.count <= Self.recordBytesMax
            ? record : String(decoding: record.utf8.prefix(Self.recordBytesMax), as: UTF8.self)
    }
}

/// Applies an operator's policy to failing records.
public final class RecordErrorHandler {
    private let operatorName: String
    private let policy: RecordErrorPolicy
    private let letters: Collector<DeadLetter>?
    private let unread: Counter
    private var skipped = 0
    /// Records that were left out or sent to the dead letters.
    public let rejected: Counter

    public init(
        operatorName: String, policy: RecordErrorPolicy, letters: Collector<DeadLetter>?, rejected: Counter,
        unread: Counter
    ) {
        self.operatorName = operatorName
        self.policy = policy
        self.letters = letters
        self.rejected = rejected
        self.unread = unread
    }

    /// Deals with one failing record.
    ///
    /// - Throws: a `ThalwegError` naming operator, position and cause when the policy is to fail.
    public func handle(_ error: any Error, position: String, record: @autoclosure () -> String) throws {
        switch policy {
        case .fail:
            // What a function throws may be mended by a restart; what is wrong with the data is not.
            throw ThalwegError(
                (error as? ThalwegError)?.kind ?? .task, "operator \"\(operatorName)\" failed on a record",
                detail: "at \(position)",
                hint: "handle the value, or set onError: .skip(limit:) or .deadLetter(tag) on the operator",
                cause: error)
        case .skip(let limit):
            skipped += 1
            rejected.add(1)
            if skipped > limit {
                throw ThalwegError(
                    .input, "operator \"\(operatorName)\" failed on more records than it may skip",
                    detail: "the limit is \(limit); this one is at \(position)",
                    hint: "mend the input, or raise the limit", cause: error)
            }
        case .deadLetter:
            rejected.add(1)
            let text = (error as? ThalwegError)?.description ?? String(describing: error)
            guard let letters else {
                unread.add(1)
                return
            }
            letters.emit(DeadLetter(operatorName: operatorName, position: position, error: text, record: record()))
        }
    }

    /// What the job fails with when a timer's function throws: there is no record that could be left out.
    public func timerFailure(_ error: any Error, at time: EventTime, key: Any) -> ThalwegError {
        ThalwegError(
            .task, "operator \"\(operatorName)\" failed in a timer", detail: "at \(time), key \(key)",
            hint: "handle the case in onTimer", cause: error)
    }

    /// Hands on the dead letters gathered so far.
    public func flush() throws { try letters?.flush() }
}
