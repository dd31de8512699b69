// SPDX-License-Identifier: Apache-2.0
//  What an operator hands over at a barrier, and what it gets back after a restart.

import ThalwegBase
import ThalwegData
import ThalwegState
import ThalwegStorage

/// Gathers the frozen state of one operator in one subtask at a barrier.
public struct OperatorSnapshot {
    public let operatorName: String
    public let subtask: Int
    public let maxParallelism: Int
    public let barrier: CheckpointBarrier
    /// Whether all input has come: nothing follows this snapshot.
    public let isFinal: Bool
    /// The states, frozen.
    public private(set) var parts: [StatePart] = []
    /// The rows of keyed stores that keep layers, frozen.
    public private(set) var rows: [RowSnapshot] = []
    /// What makes the output up to the barrier durable before the checkpoint may complete; runs off the task's thread.
    public private(set) var persists: [@Sendable () throws -> Void] = []
    /// What publishes the output up to the barrier once the checkpoint is complete.
    public private(set) var commits: [SinkCommit] = []
    /// Called on the task's thread when all parts have been written or given up.
    public private(set) var releases: [() -> Void] = []

    public init(operatorName: String, subtask: Int, maxParallelism: Int, barrier: CheckpointBarrier, isFinal: Bool) {
        self.operatorName = operatorName
        self.subtask = subtask
        self.maxParallelism = maxParallelism
        self.barrier = barrier
        self.isFinal = isFinal
    }

    public mutating func add(_ part: StatePart) { parts.append(part) }
    public mutating func add(_ rows: RowSnapshot) { self.rows.append(rows) }
    public mutating func persist(_ body: @escaping @Sendable () throws -> Void) { persists.append(body) }
    public mutating func commit(_ step: SinkCommit) { commits.append(step) }
    public mutating func release(_ body: @escaping () -> Void) { releases.append(body) }

    /// Adds elements that are not keyed, such as a reader's splits: each encoded on its own, in order.
    ///
    /// - Parameter kind: `.split` or `.union`.
    public mutating func add<Element: Codable & Sendable>(
        _ elements: [Element], state name: String, kind: StateKind = .split, properties: [String: String] = [:]
    ) throws {
        let type = try RecordType<Element>.learn()
        let descriptor = StateDescriptor(
            operatorName: operatorName, name: name, kind: kind, value: type.schema, properties: properties)
        add(.elements(elements, of: subtask, RecordCodec(type), descriptor))
    }
}

/// The names of what a source stores.
public enum SourceStates {
    /// The readers' splits with their positions.
    public static var splits: String { "$splits" }
    /// What the enumerator needs to go on.
    public static var enumerator: String { "$enumerator" }
}

extension RestoredState {
    /// The elements of a state that is not keyed, for each old subtask in order.
    public func elements<Element: Codable & Sendable>(
        of name: String, as _: Element.Type = Element.self
    ) throws -> [[Element]] {
        let codec = RecordCodec(try RecordType<Element>.learn())
        var lists: [[Element]] = Array(repeating: [], count: parallelism)
        try entries(of: name, keyGroups: nil) { key, value in
            var reader = ByteReader(key)
            let subtask = Int(try reader.read(UInt32.self).byteSwapped)
            if subtask >= lists.count { lists += Array(repeating: [], count: subtask + 1 - lists.count) }
            lists[subtask].append(try codec.decode(value))
        }
        return lists
    }

    public func hasState(_ name: String) -> Bool { states.contains { $0.name == name } }
}
