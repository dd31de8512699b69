// SPDX-License-Identifier: Apache-2.0
//  How far event time had come in each key group, dealt into others.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// The state `$time` of a keyed operator: for each subtask its event time, and the times of its key groups when some
/// are ahead of it.
struct StoredTimes {
    static let name = "$time"
    private static let schema = RecordSchema(
        root: .record([
            RecordSchema.Field(name: "time", type: .scalar(.int64)),
            RecordSchema.Field(name: "keyGroups", type: .array(.scalar(.int64))),
        ]))

    private let operatorName: String
    private let parallelism: Int
    private let maxParallelism: Int
    /// By key group; nil when the group's subtask has stored none.
    private var times: [Int64?]

    /// - Throws: kind `corrupt` when the state is not what an operator writes.
    init(_ known: SavepointOperator, _ reader: SavepointReader) throws {
        operatorName = known.name
        parallelism = known.parallelism
        maxParallelism = reader.maxParallelism
        times = Array(repeating: nil, count: maxParallelism)
        guard known.states.first(where: { $0.name == Self.name })?.descriptor.value == Self.schema,
            (1...maxParallelism).contains(parallelism)
        else { throw damaged("it has another schema") }
        let entries = try reader.entries(of: Self.name, in: known.name)
        while let entry = try entries.next() {
            guard case .integer(let subtask)? = entry.place.first?.value,
                case .integer(let time)? = entry.value?["time"], case .array(let groups)? = entry.value?["keyGroups"],
                subtask < parallelism
            else { throw damaged("an entry belongs to no subtask") }
            let owned = KeyGroup.range(
                subtask: Int(subtask), maxParallelism: maxParallelism, parallelism: parallelism)
            for (place, group) in owned.enumerated() {
                var own = time
                if place < groups.count, case .integer(let ahead) = groups[place] { own = max(time, ahead) }
                times[group] = own
            }
        }
    }

    private func damaged(_ reason: String) -> ThalwegError {
        ThalwegError(
            .corrupt, "the event time of an operator is damaged", detail: "operator \"\(operatorName)\": \(reason)",
            hint: "bring the snapshot back from a copy")
    }

    /// The subtask that an entry belongs to.
    static func subtask(_ key: UnsafeRawBufferPointer) throws -> Int {
        var reader = ByteReader(key)
        return Int(try reader.read(UInt32.self).byteSwapped)
    }

    /// The values of the subtasks' entries when there are `count` key groups.
    ///
    /// - Throws: kind `input` when a new key group takes keys of old ones that differ in event time: what has fired
    ///   for some keys of it and not for others could not be told.
    func resharded(to count: Int) throws -> [Int: [UInt8]] {
        let times = try (0..<count).map { group -> Int64? in
            let old = group * maxParallelism / count..<((group + 1) * maxParallelism + count - 1) / count
            let found = Set(self.times[old])
            guard found.count == 1 else {
                throw ThalwegError(
                    .input, "the keys of an operator cannot be dealt into so many key groups",
                    detail: "operator \"\(operatorName)\": key groups \(old) of \(maxParallelism) would share one, "
                        + "and event time differs between them",
                    hint: "take a multiple of \(maxParallelism), or a snapshot of the job at parallelism 1")
            }
            return found.first ?? nil
        }
        let codec = DynamicCodec(Self.schema)
        var values: [Int: [UInt8]] = [:]
        for subtask in 0..<parallelism {
            let owned = KeyGroup.range(subtask: subtask, maxParallelism: count, parallelism: parallelism)
            let own = times[owned].compactMap { $0 }
            guard let least = own.min() else { continue }
            guard own.count == owned.count else { throw damaged("a subtask has stored none") }
            let groups = own.allSatisfy { $0 == least } ? [] : own.map { DynamicValue.integer($0) }
            let value = DynamicValue.record([
                DynamicValue.Field("time", .integer(least)), DynamicValue.Field("keyGroups", .array(groups)),
            ])
            values[subtask] = try codec.encode(value)
        }
        return values
    }
}
