// SPDX-License-Identifier: Apache-2.0
//  The state that an operator starts with.

import ThalwegBase

/// What a snapshot holds of one operator, from all subtasks that it had.
public protocol RestoredState: Sendable {
    /// The states that the snapshot has of this operator.
    var states: [StateDescriptor] { get }
    /// The number of subtasks that the operator had.
    var parallelism: Int { get }
    /// Calls `body` with the entries of a state, in ascending order of their keys.
    ///
    /// - Parameters:
    ///   - keyGroups: of a keyed state, the key groups wanted; nil gives all entries.
    /// - Throws: a `ThalwegError(.corrupt)` that names the file and the reason.
    func entries(
        of state: String, keyGroups: Range<Int>?,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws
    /// The number of entries of a state; none when the snapshot does not have it.
    func entryCount(of state: String) throws -> Int
    /// The segments that hold the state; nil when it does not lie in segments.
    var segments: RestoredSegments? { get }
}

/// The segments of one operator in a snapshot.
public struct RestoredSegments: Sendable {
    public struct File: Sendable {
        public var file: SegmentFile
        /// The states in it, those of other operators too.
        public var states: [StateDescriptor]
        /// Where it lies.
        public var path: String
    }

    /// The root of the store that the snapshot belongs to.
    public var root: String
    /// Whether the snapshot belongs to the user, who may remove it.
    public var isUserOwned: Bool
    public var files: [File]

    /// Whether every file lies where the store's snapshots look for it.
    public var isInPlace: Bool { files.allSatisfy { $0.path == root + "/" + $0.file.path } }
}

extension RestoredState {
    public var segments: RestoredSegments? { nil }

    public func entryCount(of state: String) throws -> Int {
        var count = 0
        try entries(of: state, keyGroups: nil) { _, _ in count += 1 }
        return count
    }
}
