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
    /// For how many rows a filter is kept in memory as long as the run is; nil: none.
    public var filteredRows: Int?
    public var onRelease: (@Sendable (String) -> Void)?

    public init(
        path: String, listedAs listed: String, operators: [String], subtask: Int, sequence: Int64,
        options: SegmentOptions = .run, isDurable: Bool = false, filteredRows: Int? = nil,
        onRelease: (@Sendable (String) -> Void)? = nil
    ) {
        self.path = path
        file = SegmentFile(
            path: listed, byteCount: 0, checksum: "", entries: 0, operators: operators, subtask: subtask,
            sequence: sequence)
        self.options = options
        self.isDurable = isDurable
        self.filteredRows = filteredRows
        self.onRelease = onRelease
    }
}

extension RunTarget {
    /// The filter that is kept in memory.
    func makeFilter() -> RowFilter? { options.hasFilters ? filteredRows.map { RowFilter(rows: $0) } : nil }
}

extension Run {
    /// Writes a run from what is in memory.
    ///
    /// - Parameters:
    ///   - parts: states, each with its entries of any kind.
    ///   - isCancelled: asked once a block.
    /// - Returns: nil when there are no entries; then there is no file.
    /// - Throws: a `ThalwegError` when the disk fails, `CancellationError` when it was cancelled; no file is left then.
    public static func write(
        _ parts: [StatePart], to target: RunTarget, fileSystem: any FileSystem,
        isCancelled: @escaping () -> Bool = { false }
    ) throws -> Run? {
        let parts = parts.sorted {
            ($0.descriptor.operatorName, $0.descriptor.name) < ($1.descriptor.operatorName, $1.descriptor.name)
        }
        for (part, next) in zip(parts, parts.dropFirst())
        where part.descriptor.operatorName == next.descriptor.operatorName
            && part.descriptor.name == next.descriptor.name
        {
            throw ThalwegError(
                .bug, "an operator gives a state twice",
                detail: "state '\(part.descriptor.name)' of '\(part.descriptor.operatorName)'")
        }
        let output = LateOutput(target.path, fileSystem)
        let filter = target.makeFilter()
        do {
            let writer = try SegmentWriter(
                output, states: parts.map(\.descriptor), options: target.options, noting: filter,
                isCancelled: isCancelled)
            for (index, part) in parts.enumerated() {
                if isCancelled() { throw CancellationError() }
                try writer.begin(state: index)
                try part.write(to: writer)
            }
            guard let written = try writer.finishUnlessEmpty() else { return nil }
            if target.isDurable { try output.sync() }
            output.close()
            return Run(written, writer, target, filter, fileSystem)
        } catch {
            output.close()
            if output.isThere { fileSystem.remove(target.path) }
            throw error
        }
    }

    /// A run that was just written.
    convenience init(
        _ written: (footer: SegmentFooter, checksum: UInt64), _ writer: SegmentWriter, _ target: RunTarget,
        _ filter: RowFilter?, _ fileSystem: any FileSystem
    ) {
        var file = target.file
        file.byteCount = writer.byteCount
        file.checksum = written.checksum.hex
        file.entries = Int64(written.footer.entries)
        self.init(
            file, at: target.path, footer: written.footer, rowCount: target.options.hasFilters ? writer.rowsMax : nil,
            filter: filter, fileSystem: fileSystem, onRelease: target.onRelease)
    }
}
