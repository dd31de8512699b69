// SPDX-License-Identifier: Apache-2.0
//  The one shape of every error the engine reports.

/// What went wrong, and what to do about it.
///
/// `primary` is short and lower case; `detail` gives the facts (file, line, operator, value); `hint` says how to fix
/// it.
public struct ThalwegError: Error, Sendable, CustomStringConvertible {
    /// What the caller can do about it.
    public enum Kind: String, Sendable, Hashable {
        /// Trying again may help: a busy or unreachable service, a full disk.
        case retry
        /// One task failed; restarting it from the last checkpoint may help.
        case task
        /// The job as written cannot run: a bad graph, a bad setting.
        case job
        /// Data from outside is not what was declared.
        case input
        /// Stored data was damaged.
        case corrupt
        /// A defect in the engine: please report it.
        case bug
    }

    public var kind: Kind
    public var primary: String
    public var detail: String?
    public var hint: String?
    public var cause: (any Error)?

    public init(
        _ kind: Kind, _ primary: String, detail: String? = nil, hint: String? = nil, cause: (any Error)? = nil
    ) {
        self.kind = kind
        self.primary = primary
        self.detail = detail
        self.hint = hint
        self.cause = cause
    }

    /// The whole story in one text: primary, detail, hint, then the chain of causes.
    public var description: String {
        var text = primary
        if let detail { text += ": \(detail)" }
        if let hint { text += "\n  hint: \(hint)" }
        if let cause {
            let inner = (cause as? ThalwegError)?.description ?? String(describing: cause)
            text +=
                "\n  cause: \(inner.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n  "))"
        }
        return text
    }
}
