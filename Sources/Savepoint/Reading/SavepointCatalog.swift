// SPDX-License-Identifier: Apache-2.0
//  The snapshots in a directory.

import ThalwegBase
import ThalwegStorage

/// What lies in a directory of checkpoints.
public struct SavepointCatalog: Sendable {
    /// One snapshot, complete or not.
    public struct Item: Sendable {
        public enum Condition: Sendable, Hashable {
            case complete
            /// Without metadata: it counts as none.
            case incomplete
            /// No snapshot of its own: files that others in the directory refer to.
            case referenced
            /// With the file and the reason.
            case damaged(String)
        }

        public let name: String
        public let path: String
        public internal(set) var condition: Condition
        public let metadata: SnapshotMetadata?
        /// Whether `--from latest` starts from it.
        public internal(set) var isLatest = false
    }

    public let items: [Item]

    /// - Parameter root: a directory of checkpoints, of savepoints, or of copies of either.
    /// - Throws: kind `input` when there is no such directory.
    public init(_ root: String, fileSystem: any FileSystem = LocalFileSystem()) throws {
        guard fileSystem.isDirectory(root) else {
            throw ThalwegError(.input, "there is no such directory", detail: root, hint: "check the path")
        }
        guard try !fileSystem.names(in: root).contains(CheckpointStore.metadataName) else {
            throw ThalwegError(
                .input, "this is a snapshot, no directory of snapshots", detail: root,
                hint: "thalweg state show says what is in it")
        }
        let store = CheckpointStore(root: root, fileSystem: fileSystem)
        let listed = Dictionary(try store.list().map { ($0.path, $0) }) { first, _ in first }
        // A start record that cannot be read is no reason to show nothing.
        let latest = try? store.loadLatest()?.path
        var items: [Item] = []
        for name in try fileSystem.names(in: root) {
            let path = store.root + "/" + name
            guard fileSystem.isDirectory(path) else { continue }
            if let listing = listed[path] {
                items.append(Self.item(name, listing))
                items[items.count - 1].isLatest = path == latest
            } else if try fileSystem.names(in: path).contains(CheckpointStore.metadataName) {
                items.append(Self.item(name, path, fileSystem))
            } else if name.hasPrefix("chk-"), Int64(name.dropFirst(4)) != nil {
                items.append(Item(name: name, path: path, condition: .incomplete, metadata: nil))
            }
        }
        // While a damaged one lies there it is not known what that refers to.
        let owners = items.reduce(into: Set<Substring>()) { owners, item in
            guard let metadata = item.metadata else { return }
            owners.formUnion(metadata.files.compactMap { $0.path.split(separator: "/").first })
        }
        for index in items.indices
        where items[index].condition == .incomplete && owners.contains(items[index].name[...]) {
            items[index].condition = .referenced
        }
        self.items = items.sorted {
            ($0.metadata?.timeMilliseconds ?? .max, $0.number, $0.name)
                < ($1.metadata?.timeMilliseconds ?? .max, $1.number, $1.name)
        }
    }

    private static func item(_ name: String, _ listing: CheckpointStore.Listing) -> Item {
        switch listing.state {
        case .complete(let metadata):
            Item(name: name, path: listing.path, condition: .complete, metadata: metadata)
        case .damaged(let reason):
            Item(name: name, path: listing.path, condition: .damaged(reason), metadata: nil)
        }
    }

    private static func item(_ name: String, _ path: String, _ fileSystem: any FileSystem) -> Item {
        do {
            let snapshot = try CheckpointStore(root: ".", fileSystem: fileSystem).load(path)
            return Item(name: name, path: path, condition: .complete, metadata: snapshot.metadata)
        } catch {
            let reason = (error as? ThalwegError)?.detail ?? "\(error)"
            return Item(name: name, path: path, condition: .damaged(reason), metadata: nil)
        }
    }
}

extension SavepointCatalog.Item {
    /// Of a checkpoint's directory.
    fileprivate var number: Int64 { name.hasPrefix("chk-") ? Int64(name.dropFirst(4)) ?? .max : .max }
}
