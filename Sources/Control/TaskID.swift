// SPDX-License-Identifier: Apache-2.0
//  Names one subtask of a job.

/// One subtask of one vertex: what acknowledges a checkpoint, fails and restarts.
public struct TaskID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The vertex, counted from zero in the order of the job graph.
    public var vertex: Int32
    /// The subtask of the vertex, counted from zero.
    public var subtask: Int32

    public init(vertex: Int32, subtask: Int32) {
        self.vertex = vertex
        self.subtask = subtask
    }

    public static func < (left: TaskID, right: TaskID) -> Bool {
        (left.vertex, left.subtask) < (right.vertex, right.subtask)
    }

    public var description: String { "task \(vertex).\(subtask)" }
}
