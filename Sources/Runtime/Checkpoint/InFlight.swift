// SPDX-License-Identifier: Apache-2.0
//  What lay in channels when a barrier went ahead of it (unaligned checkpoints).

import ThalwegBase
import ThalwegControl
import ThalwegData
import ThalwegOperator
import ThalwegStorage

/// Records the batches that belong to a checkpoint but have not been processed yet.
///
/// Signals are not recorded: after a restart the sources speak for themselves again.
struct InFlightRecorder {
    let barrier: CheckpointBarrier
    private let subtask: UInt32
    private var states: [String: (schema: RecordSchema, batches: [[UInt8]])] = [:]
    private(set) var batchCount = 0

    init(_ barrier: CheckpointBarrier, subtask: Int) {
        self.barrier = barrier
        self.subtask = UInt32(truncatingIfNeeded: subtask)
    }

    /// - Parameter state: the state of the input's edge, see ``InFlightState``.
    mutating func record(_ batch: AnyObject, of state: String, _ codec: any PacketCodec) throws {
        var writer = ByteWriter(capacity: 4096)
        try codec.encode(batch, into: &writer)
        states[state, default: (codec.schema, [])].batches.append(writer.bytes())
        batchCount += 1
    }

    /// The recorded batches as states of an operator.
    func parts(of operatorName: String) -> [StatePart] {
        states.sorted { $0.key < $1.key }.map { name, content in
            let (subtask, batches) = (subtask, content.batches)
            let descriptor = StateDescriptor(
                operatorName: operatorName, name: name, kind: .inFlight, value: content.schema)
            return StatePart(descriptor) { writer in
                for (index, batch) in batches.enumerated() {
                    try withUnsafeBytes(of: (subtask.bigEndian, UInt32(truncatingIfNeeded: index).bigEndian)) { key in
                        try batch.withUnsafeBytes { try writer.add(key: key, value: $0) }
                    }
                }
            }
        }
    }
}

/// The names of in-flight states: one for each edge into an operator and each form it can have.
enum InFlightState {
    static func name(edge: Int, isCombined: Bool) -> String {
        "$inflight.\(edge)" + (isCombined ? ".combined" : "")
    }

    /// The number of the edge that a state belongs to.
    static func edge(of name: String) -> Int? {
        let parts = name.split(separator: ".")
        return isOne(name) && parts.count > 1 ? Int(parts[1]) : nil
    }

    static func isOne(_ name: String) -> Bool { name.hasPrefix("$inflight.") }

    /// The batches that one subtask has to process before all others.
    ///
    /// - Parameters:
    ///   - isKeyed: whether records find their subtask by key; else each old subtask's batches go to one new subtask.
    static func batches(
        _ state: any RestoredState, name: String, codec: any PacketCodec, isKeyed: Bool, task: TaskID,
        parallelism: Int, maxParallelism: Int, capacity: Int
    ) throws -> [AnyObject] {
        var batches: [AnyObject] = []
        let isRescaled = state.parallelism != parallelism
        let range = KeyGroup.range(
            subtask: Int(task.subtask), maxParallelism: maxParallelism, parallelism: parallelism)
        try state.entries(of: name, keyGroups: nil) { key, value in
            var reader = ByteReader(key)
            let old = Int(try reader.read(UInt32.self).byteSwapped)
            if !(isKeyed && isRescaled) && old % parallelism != Int(task.subtask) { return }
            var packet = ByteReader(value)
            for batch in try codec.decode(&packet, capacity: capacity) {
                if isKeyed && isRescaled { try codec.keep(range, of: maxParallelism, in: batch) }
                batches.append(batch)
            }
        }
        return batches
    }
}
