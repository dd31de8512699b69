// SPDX-License-Identifier: Apache-2.0
//  Writes a run from what is in memory.

import ThalwegBase

/// Where a run is written, and how it is listed.
public struct RunTarget: Sendable {
    /// Where the file is made.
    public var path: String
    /// How it is listed: path, age, operators and subtask; what is known only at its end is filled in then.
    public var file: SegmentFile
    public var options: SegmentOptions
    /// Whether it survives a loss of power when it is done: for files that snapshots refer to.
    public var isDurable: Bool
    public var onRelease: (@Sendable (String) -> Void)?

    public init(
        path: String, listedAs listed: String, operators: [String], subtask: Int, sequence: Int64,
        options: SegmentOptions = .run, isDurable: Bool = false, onRelease: (@Sendable (String) -> Void)? = nil
    ) {
        self.path = path
        file = SegmentFile(
            path: listed, byteCount: 0, checksum: "", entries: 0, operators: operators, subtask: subtask,
            sequence: sequence)
        self.options = options
        self.isDurable = isDurable
        self.onRelease = onRelease
    }
}

extension Run {
    /// Writes a run from what is in memory.
    ///
    /// - Parameter parts: the states of one operator, each with its entries of any kind.
    /// - Returns: nil when there are no entries; then there is no file.
    /// - Throws: a `ThalwegError` when the disk fails, `CancellationError` when it was cancelled; no file is left then.
    public static func write(
        _ parts: [StatePart], to target: RunTarget, fileSystem: any FileSystem,
        isCancelled: @escaping () -> Bool = { false }
    ) throws -> Run? {
        let parts = parts.sorted { $0.descriptor.name < $1.descriptor.name }
        let output = LateOutput(target.path, fileSystem)
        do {
            let writer = try SegmentWriter(
                output, states: parts.map(\.descriptor), options: target.options, isCancelled: isCancelled)
            for (index, part) in parts.enumerated() {
                try writer.begin(state: index)
                try part.write(to: writer)
            }
            guard let written = try writer.finishUnlessEmpty() else { return nil }
            if target.isDurable { try output.sync() }
            output.close()
            return Run(written, writer.byteCount, target, fileSystem)
        } catch {
            output.close()
            if output.isThere { fileSystem.remove(target.path) }
            throw error
        }
    }

    /// A run that was just written.
    convenience init(
        _ written: (footer: SegmentFooter, checksum: UInt64), _ byteCount: Int64, _ target: RunTarget,
        _ fileSystem: any FileSystem
    ) {
        var file = target.file
        file.byteCount = byteCount
        file.checksum = written.checksum.hex
        file.entries = Int64(written.footer.entries)
        self.init(
            file, at: target.path, footer: written.footer, fileSystem: fileSystem, onRelease: target.onRelease)
    }
}
