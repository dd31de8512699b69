// SPDX-License-Identifier: Apache-2.0
//  What the subtasks of an operator say of a state that must be the same in all of them (FLIP-8).

import ThalwegBase
import ThalwegControl
import ThalwegStorage

/// The digest of one subtask's copy of a broadcast state.
struct StateDigest: Hashable, Sendable {
    let operatorName: String
    let state: String
    let subtask: Int
    let digest: UInt64

    /// Nil for states that may differ from subtask to subtask.
    init?(_ part: StatePart, of task: TaskID) throws {
        guard let digest = try part.digest?() else { return nil }
        operatorName = part.descriptor.operatorName
        state = part.descriptor.name
        subtask = Int(task.subtask)
        self.digest = digest
    }

    /// What to fail with if two subtasks disagree; nil if all agree.
    static func divergence(_ digests: [StateDigest]) -> ThalwegError? {
        var first: [[String]: StateDigest] = [:]
        for digest in digests {
            let name = [digest.operatorName, digest.state]
            guard let other = first[name] else {
                first[name] = digest
                continue
            }
            guard other.digest != digest.digest else { continue }
            let (low, high) = (min(other.subtask, digest.subtask), max(other.subtask, digest.subtask))
            return ThalwegError(
                .job, "broadcast state \(digest.state) differs between subtasks \(low) and \(high)",
                detail: "operator \"\(digest.operatorName)\"",
                hint: "let processBroadcast do the same in every subtask: no clock, no chance, no keyed state")
        }
        return nil
    }
}
