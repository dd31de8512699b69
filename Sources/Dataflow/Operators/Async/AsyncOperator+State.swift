// SPDX-License-Identifier: Apache-2.0
//  Elements under way, in and out of snapshots.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// An element that waits for its call, as it is stored.
public struct AsyncInput<Value: Codable & Sendable>: Codable, Sendable {
    /// Milliseconds of event time; `Int64.min` when it has none.
    public var time: Int64
    public var value: Value

    public init(time: Int64, value: Value) {
        self.time = time
        self.value = value
    }
}

extension AsyncOperator {
    static var stateName: String { "$inFlight" }

    /// The elements whose results have not left, in order. Results are not stored: after a restart the calls are made
    /// again. Signals are not either: what was held back by them has not left, so nothing has overtaken them.
    private var held: [AsyncInput<Input>] {
        queue.elements.map { AsyncInput(time: $0.time, value: $0.input) }
            + waiting.elements.compactMap {
                if case .element(let input, let time, _) = $0 { AsyncInput(time: time, value: input) } else { nil }
            }
    }

    @usableFromInline
    func snapshot(into snapshot: inout OperatorSnapshot) throws {
        let held = held
        guard let keyHash = plan.keyHash else {
            try snapshot.add(held, state: Self.stateName)
            return
        }
        // By key group, in order within each: so all elements of a key come back to its owner, in order.
        let maxParallelism = context.maxParallelism
        let groups = held.map { KeyGroup.of(hash: keyHash($0.value), maxParallelism: maxParallelism) }
        let order = held.indices.sorted { (groups[$0], $0) < (groups[$1], $1) }
        let codec = codec
        let descriptor = StateDescriptor(
            operatorName: snapshot.operatorName, name: Self.stateName, kind: .keyedList, value: schema)
        snapshot.add(
            StatePart(descriptor) { writer in
                for index in order {
                    var key = ByteWriter()
                    key.append(UInt16(truncatingIfNeeded: groups[index]).bigEndian)
                    key.append(UInt64(index).bigEndian)
                    let value = try codec.encode(held[index])
                    try key.withBytes { key in try value.withUnsafeBytes { try writer.add(key: key, value: $0) } }
                }
            })
    }

    @usableFromInline
    func declare(_ states: inout StateDeclarations) throws {
        states.add(
            try WantedState(
                Self.stateName, kind: plan.keyHash == nil ? .split : .keyedList, elements: AsyncInput<Input>.self))
    }

    /// Takes elements over as if they had just come; they enter before any new input, however many there are.
    @usableFromInline
    func restore(from state: any RestoredState) throws {
        guard let stored = state.states.first(where: { $0.name == Self.stateName }) else { return }
        var mine: [AsyncInput<Input>] = []
        if stored.kind == .keyedList {
            let groups = KeyGroup.range(
                subtask: context.subtask, maxParallelism: context.maxParallelism, parallelism: context.parallelism)
            try state.entries(of: Self.stateName, keyGroups: groups) { _, value in
                mine.append(try codec.decode(value))
            }
        } else {
            mine = share(of: try state.elements(of: Self.stateName), from: state.parallelism)
        }
        for element in mine { waiting.append(.element(element.value, time: element.time, split: -1)) }
        metrics.waiting.add(mine.count)
    }

    /// This subtask's part of what the old subtasks held.
    private func share(of lists: [[AsyncInput<Input>]], from old: Int) -> [AsyncInput<Input>] {
        let (subtask, parallelism, maxParallelism) = (context.subtask, context.parallelism, context.maxParallelism)
        if let keyHash = plan.keyHash {
            return lists.joined().filter {
                let group = KeyGroup.of(hash: keyHash($0.value), maxParallelism: maxParallelism)
                return KeyGroup.subtask(of: group, maxParallelism: maxParallelism, parallelism: parallelism) == subtask
            }
        }
        if old == parallelism || plan.settings.lanes == .one {
            // What one subtask held stays together, and so in order.
            return lists.indices.filter { $0 % parallelism == subtask }.flatMap { lists[$0] }
        }
        let all = Array(lists.joined())
        return all.indices.filter { $0 % parallelism == subtask }.map { all[$0] }
    }
}
