// SPDX-License-Identifier: Apache-2.0
//  The numbers that a snapshot has used up.

import ThalwegBase

extension SnapshotMetadata {
    /// The property that says which numbers its tasks have used beyond that of the snapshot.
    public static let newestNumberName = "newestNumber"
    /// How far ahead of a snapshot a task can have been.
    static let numbersAheadMax: Int64 = 1 << 20

    /// The greatest number that output of this snapshot bears. A task that ends while checkpoints are under way
    /// prepares its last output under a number ahead of them: a job that goes on from here must not use it again.
    ///
    /// - Throws: kind `corrupt` when what is noted cannot be.
    public var newestNumber: Int64 {
        get throws(ThalwegError) {
            guard let text = properties[Self.newestNumberName] else { return checkpoint }
            guard let number = Int64(text), number >= checkpoint, number - checkpoint <= Self.numbersAheadMax else {
                throw ThalwegError(
                    .corrupt, "a snapshot names numbers that it cannot have used",
                    detail: "\(Self.newestNumberName) is \"\(text)\" in checkpoint \(checkpoint)",
                    hint: "start from another snapshot")
            }
            return number
        }
    }

    /// Notes the greatest number that output of it bears; that of the snapshot itself needs no note.
    public mutating func note(newestNumber: Int64) {
        properties[Self.newestNumberName] = newestNumber > checkpoint ? String(newestNumber) : nil
    }
}
