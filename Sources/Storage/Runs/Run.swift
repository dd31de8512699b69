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
        self.init(file, at: path, footer: footer, fileSystem: fileSystem, onRelease: onRelease)
    }

    init(
        _ file: SegmentFile, at path: String, footer: SegmentFooter, fileSystem: any FileSystem,
        onRelease: (@Sendable (String) -> Void)?
    ) {
        self.file = file
        self.path = path
        self.footer = footer
        self.fileSystem = fileSystem
        self.onRelease = onRelease
    }

    deinit { onRelease?(path) }

    /// Its age: higher is newer.
    public var sequence: Int64 { file.sequence }

    /// The bytes of its file.
    public var byteCount: Int64 { file.byteCount }

    /// The place of a state in its table; nil when it does not have it.
    public func index(of state: String, operatorName: String) -> Int? {
        footer.states.firstIndex { $0.name == state && $0.operatorName == operatorName }
    }

    /// Opens the file for one more reader.
    func reader() throws(ThalwegError) -> SegmentReader { SegmentReader(try fileSystem.open(path), footer: footer) }

    /// Whether a key's group is one for which the run counts.
    @inline(__always)
    func holds(_ key: UnsafeRawBufferPointer) -> Bool {
        guard let keyGroups = file.keyGroups else { return true }
        return key.count >= 2 && keyGroups.contains(Int(key[0]) << 8 | Int(key[1]))
    }
}
