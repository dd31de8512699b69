// SPDX-License-Identifier: Apache-2.0
//  A segment that holds the newest contents of some rows, over what older ones have of them.

import ThalwegBase

/// One sorted run of an operator's subtask: where it lies, how old it is, and where its blocks are.
///
/// A row is all entries whose keys begin with the same bytes: key group and key of the operator. What a run says of a
/// row or a key hides what older runs say of it (FLIP-50 s4). The file is there as long as anybody holds the run: the
/// last one who lets go of it calls `onRelease`. Opened for reading by each user for itself; any number of threads.
public final class Run: Sendable {
    /// How snapshots list it.
    public let file: SegmentFile
    /// Where it lies.
    public let path: String
    public let footer: SegmentFooter
    /// About how many rows it has: the most that one of its states has, or all entries where that is not known.
    public let rowCount: Int
    /// Which rows it surely lacks, if that was noted when it was written.
    let filter: RowFilter?
    private let fileSystem: any FileSystem
    private let onRelease: (@Sendable (String) -> Void)?

    /// Opens a run: reads its footer.
    ///
    /// - Parameters:
    ///   - path: where it lies.
    ///   - onRelease: called with the path when nobody holds the run any more, on the thread that let go of it last.
    /// - Throws: kind `corrupt` when the file is not what was listed.
    public convenience init(
        _ file: SegmentFile, at path: String, fileSystem: any FileSystem,
        onRelease: (@Sendable (String) -> Void)? = nil
    ) throws(ThalwegError) {
        let footer = try Snapshot.open(path, file, fileSystem).footer
        self.init(
            file, at: path, footer: footer, rowCount: nil, filter: nil, fileSystem: fileSystem, onRelease: onRelease)
    }

    init(
        _ file: SegmentFile, at path: String, footer: SegmentFooter, rowCount: Int?, filter: RowFilter?,
        fileSystem: any FileSystem, onRelease: (@Sendable (String) -> Void)?
    ) {
        self.file = file
        self.path = path
        self.footer = footer
        self.rowCount = rowCount ?? Int(clamping: footer.entries)
        self.filter = filter
        self.fileSystem = fileSystem
        self.onRelease = onRelease
    }

    deinit { onRelease?(path) }

    /// Its age: higher is newer.
    public var sequence: Int64 { file.sequence }

    /// The bytes of its file.
    public var byteCount: Int64 { file.byteCount }

    /// The bytes of memory that finding its blocks takes, and the filter over its rows.
    public var memoryBytes: Int { footer.blocks.memoryBytes + filterBytes }

    /// About the bytes of memory that finding a block takes.
    public static var indexBytesPerBlock: Int { BlockIndex.bytesPerBlock }

    /// The memory that a filter over so many rows takes.
    public static func filterBytes(forRows rows: Int) -> Int { RowFilter.bytes(forRows: rows) }

    /// For how many rows a filter is that takes no more memory than this.
    public static func filteredRows(within bytes: Int) -> Int {
        max(0, bytes / BlockFilter.laneBytes) * BlockFilter.laneBytes * 8 / BlockFilter.bitsPerRow
    }

    /// The bytes of the filter that it keeps in memory.
    public var filterBytes: Int { filter?.byteCount ?? 0 }

    /// The place of a state in its table; nil when it does not have it.
    public func index(of state: String, operatorName: String) -> Int? {
        footer.states.firstIndex { $0.name == state && $0.operatorName == operatorName }
    }

    /// The names of the states of which it has entries.
    public var statesWithEntries: Set<String> {
        Set(zip(footer.states, footer.statistics).compactMap { $1.entries > 0 ? $0.name : nil })
    }

    /// Opens the file for one more reader.
    public func reader() throws(ThalwegError) -> SegmentReader {
        SegmentReader(try fileSystem.open(path), footer: footer)
    }

    /// Whether a key's group is one for which the run counts.
    func holds(_ key: UnsafeRawBufferPointer) -> Bool { file.keyGroups.map { Self.isKey(key, in: $0) } ?? true }

    /// Whether a key's group is one of these.
    @inline(__always)
    static func isKey(_ key: UnsafeRawBufferPointer, in groups: Range<Int>) -> Bool {
        key.count >= 2 && groups.contains(Int(key[0]) << 8 | Int(key[1]))
    }
}
