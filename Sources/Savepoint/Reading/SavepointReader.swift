// SPDX-License-Identifier: Apache-2.0
//  Opens a snapshot and says what is in it.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// A state in a snapshot.
public struct SavepointState: Sendable {
    /// Name, kind, schemas.
    public let descriptor: StateDescriptor
    /// The number of entries; if not ``isExact``, at most so many: ``SavepointReader/count(of:in:)`` counts them.
    public let entries: Int
    /// Whether there are exactly so many: where files lie over others, only reading all of them tells.
    public let isExact: Bool
    /// The bytes of all keys and values before compression, of what lies below newer entries too.
    public let plainBytes: UInt64

    public var name: String { descriptor.name }
    public var kind: StateKind { descriptor.kind }
}

/// An operator in a snapshot.
public struct SavepointOperator: Sendable {
    public let name: String
    public let parallelism: Int
    public let states: [SavepointState]
}

/// A snapshot of any kind, open for reading without the program that wrote it (FLIP-43).
///
///     let reader = try SavepointReader("checkpoints/chk-7")
///     let entries = try reader.entries(of: "prices", in: "auctions")
///     while let entry = try entries.next() { print(entry.record.json) }
///
/// Everything read is checked: damage gives an error of kind `corrupt`, never other data. Nothing is written.
public struct SavepointReader: Sendable {
    public let snapshot: Snapshot
    public let operators: [SavepointOperator]
    let states: [String: RestoredSnapshotState]

    /// - Parameter path: of a snapshot or its `_metadata`; of a directory of checkpoints, whose newest is taken.
    /// - Throws: kind `input` when there is no such path, or no snapshot there; kind `corrupt` when it is damaged.
    public init(_ path: String, fileSystem: any FileSystem = LocalFileSystem()) throws {
        let snapshot: Snapshot
        do {
            snapshot = try CheckpointStore(root: ".", fileSystem: fileSystem).load(path)
        } catch let error as ThalwegError where error.kind == .input && error.cause == nil {
            guard fileSystem.isDirectory(path) || (try? fileSystem.byteCount(of: path)) != nil else {
                throw ThalwegError(.input, "no such file or directory", detail: path, hint: "check the path")
            }
            throw ThalwegError(
                .input, "there is no complete snapshot", detail: error.detail ?? path,
                hint: "give the directory of a snapshot, such as checkpoints/chk-7")
        }
        try self.init(snapshot)
    }

    /// Opens a snapshot that has been found.
    init(_ snapshot: Snapshot) throws {
        self.snapshot = snapshot
        var states: [String: RestoredSnapshotState] = [:]
        var operators: [SavepointOperator] = []
        for known in snapshot.metadata.operators {
            guard let restored = try snapshot.restoredState(of: known.name) else { continue }
            states[known.name] = restored
            operators.append(
                SavepointOperator(
                    name: known.name, parallelism: known.parallelism,
                    states: restored.states.map { descriptor in
                        let (most, isExact) = restored.entryBound(of: descriptor.name)
                        return SavepointState(
                            descriptor: descriptor, entries: most, isExact: isExact,
                            plainBytes: restored.plainBytes(of: descriptor.name))
                    }))
        }
        self.states = states
        self.operators = operators
    }

    /// A key group has two bytes in keys.
    static let keyGroupsMax = 1 << 16

    public var metadata: SnapshotMetadata { snapshot.metadata }
    public var path: String { snapshot.path }
    public var maxParallelism: Int { snapshot.metadata.maxParallelism }

    /// What the snapshot knows of a state.
    ///
    /// - Throws: kind `input`, with the names that there are.
    public func state(_ name: String, in operatorName: String) throws -> SavepointState {
        guard let found = operators.first(where: { $0.name == operatorName }) else {
            throw ThalwegError(
                .input, "the snapshot has no such operator", detail: "\"\(operatorName)\" in \(path)",
                hint: "it has " + operators.map { "\"\($0.name)\"" }.joined(separator: ", "))
        }
        guard let state = found.states.first(where: { $0.name == name }) else {
            throw ThalwegError(
                .input, "the operator has no such state", detail: "\"\(name)\" of \"\(operatorName)\" in \(path)",
                hint: found.states.isEmpty
                    ? "it has none" : "it has " + found.states.map { "\"\($0.name)\"" }.joined(separator: ", "))
        }
        return state
    }

    /// The number of entries of a state; where files lie over others, all of them are read for it.
    ///
    /// - Throws: kind `input` when there is no such state.
    public func count(of name: String, in operatorName: String) throws -> Int {
        let state = try state(name, in: operatorName)
        return state.isExact ? state.entries : try states[operatorName]?.entryCount(of: name) ?? 0
    }

    /// Whether records lay in channels when it was taken (an unaligned checkpoint).
    public var hasInFlight: Bool {
        operators.contains { $0.states.contains { $0.kind == .inFlight && $0.entries > 0 } }
    }

    /// Whether all its files lie in its own directory: it may be moved alone then.
    public var isSelfContained: Bool { snapshot.isSelfContained }
}
