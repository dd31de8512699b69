// SPDX-License-Identifier: Apache-2.0
//  How long state lives.

import ThalwegBase
import ThalwegStorage

/// How long the entries of a keyed state live (FLIP-25): values, list elements and map entries each on their own.
///
///     @State var last = ValueState<Bid>(ttl: StateTTL(.minutes(10)))
///
/// An entry carries a stamp, in milliseconds: when it was last written (or read). It has expired once
/// `stamp + ttl <= now`.
@frozen
public struct StateTTL: Hashable, Sendable {
    /// What gives an entry a new stamp.
    public enum Update: String, Codable, Sendable, Hashable, CaseIterable {
        /// Writing it.
        case onCreateAndWrite
        /// Writing it, and reading it while it has not expired.
        case onReadAndWrite
    }

    /// Whether what has expired can still be read.
    public enum Visibility: String, Codable, Sendable, Hashable, CaseIterable {
        /// It is as if it had never been there.
        case neverReturnExpired
        /// Reading it gives it once more and removes it, if it has not been removed before.
        case returnExpiredIfNotCleanedUp
    }

    /// Which clock an entry lives by.
    public enum Domain: String, Codable, Sendable, Hashable, CaseIterable {
        /// The machine's clock: now is the moment when the batch of the record came.
        case processingTime
        /// The stream's: the stamp is the record's timestamp, now is the later of it and the watermark. Results do not
        /// depend on how fast the job runs.
        case eventTime
    }

    /// How long an entry lives.
    public var duration: Duration
    public var update: Update
    public var visibility: Visibility
    public var domain: Domain

    /// - Parameter duration: at least a millisecond; a job whose state has less does not start.
    public init(
        _ duration: Duration, update: Update = .onCreateAndWrite, visibility: Visibility = .neverReturnExpired,
        domain: Domain = .processingTime
    ) {
        self.duration = duration
        self.update = update
        self.visibility = visibility
        self.domain = domain
    }

    /// The name of the property in a state's description that says with what time to live it is stored.
    public static var propertyName: String { StateDescriptor.lifeName }

    /// The settings as a text for ``propertyName``: milliseconds, update, visibility and domain.
    public var text: String {
        "\(duration.wholeMilliseconds) \(update.rawValue) \(visibility.rawValue) \(domain.rawValue)"
    }

    /// Reads what ``text`` wrote; nil when it is something else.
    public init?(text: String) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 4, let milliseconds = Int64(words[0]), let update = Update(rawValue: words[1]),
            let visibility = Visibility(rawValue: words[2]), let domain = Domain(rawValue: words[3])
        else { return nil }
        self.init(.milliseconds(milliseconds), update: update, visibility: visibility, domain: domain)
    }
}
