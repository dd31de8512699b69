// SPDX-License-Identifier: Apache-2.0
//  Whether a checkpoint is complete whose completion has thrown.

import ThalwegBase

extension CheckpointStore {
    /// Looks again after ``complete(_:)`` has thrown: the metadata may have its name already, and only not have been
    /// made durable. Then that is tried once more; what cannot be made durable is taken away, so that it does not count
    /// after a loss of power, or is what the next start finds.
    ///
    /// - Returns: whether the checkpoint is complete, durably.
    /// - Throws: when neither is certain.
    public func isComplete(afterErrorOf metadata: SnapshotMetadata) throws -> Bool {
        let path = directory(metadata.checkpoint)
        guard fileSystem.isDirectory(path), try fileSystem.names(in: path).contains(Self.metadataName) else {
            return false
        }
        if let found = try? readMetadata(path), found == metadata, (try? fileSystem.syncDirectory(path)) != nil {
            return true
        }
        try fileSystem.removeFile(path + "/" + Self.metadataName)
        try fileSystem.syncDirectory(path)
        return false
    }
}
