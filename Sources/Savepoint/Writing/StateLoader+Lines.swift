// SPDX-License-Identifier: Apache-2.0
//  Entries as they are printed, read back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension StateLoader {
    /// Adds what ``SavepointEntry/record`` is as JSON: a line of `thalweg state read`. So every kind of state can go
    /// through a file.
    ///
    /// Of a list, a line adds all its values; `chunk` may be left out. `stamp` and `stamps` may be left out.
    ///
    /// - Throws: kind `input`, with the field that does not fit.
    public func add(json line: String) throws {
        let entry = try DynamicValue(json: line, lineSchema)
        let isList = layout.descriptor.kind == .list
        var place: [(part: EntryLayout.Part, value: DynamicValue)] = []
        // Places among others follow from the order of the lines.
        for part in layout.parts where part.name != placeAmongOthers {
            guard let value = entry[part.name] else { continue }
            place.append((part, value))
        }
        var group: Int?
        if case .integer(let number)? = entry["keyGroup"] {
            guard (0..<Int64(maxParallelism)).contains(number) else {
                throw ThalwegError(
                    .input, "there is no such key group", detail: "\(number) of \(maxParallelism)",
                    hint: "take the maximum parallelism of the snapshot that the lines come from")
            }
            group = Int(number)
        }
        guard isList, case .array(let values)? = entry["value"] else {
            return try add(place, keyGroup: group, stamp: Self.stamps(entry["stamp"]).first, entry["value"])
        }
        let stamps = Self.stamps(entry["stamps"])
        guard stamps.isEmpty || stamps.count == values.count else {
            throw ThalwegError(.input, "a list has other stamps than values", detail: line)
        }
        for (index, value) in values.enumerated() {
            try add(place, keyGroup: group, stamp: stamps.isEmpty ? nil : stamps[index], value)
        }
    }

    private var placeAmongOthers: String? {
        switch layout.descriptor.kind {
        case .list: "chunk"
        case .buffer: "index"
        default: nil
        }
    }

    private static func stamps(_ value: DynamicValue?) -> [Int64] {
        switch value {
        case .time(let time): [time.milliseconds]
        case .array(let values): values.flatMap { stamps($0) }
        default: []
        }
    }

    /// The type of a line.
    private var lineSchema: RecordSchema {
        let kind = layout.descriptor.kind
        var fields = layout.parts.map { RecordSchema.Field(name: $0.name, type: $0.codec.schema.root) }
        for index in fields.indices where fields[index].name == placeAmongOthers {
            fields[index].type = .optional(fields[index].type)
        }
        if kind.isKeyed, layout.key == nil {
            fields.append(RecordSchema.Field(name: "keyGroup", type: .optional(.scalar(.uint32))))
        }
        if layout.hasStamps {
            let time = SchemaType.scalar(.time)
            let stamps = RecordSchema.Field(name: "stamps", type: .optional(.array(time)))
            fields.append(kind == .list ? stamps : RecordSchema.Field(name: "stamp", type: .optional(time)))
        }
        if let value = layout.value?.schema.root {
            fields.append(RecordSchema.Field(name: "value", type: kind == .list ? .array(value) : value))
        }
        return RecordSchema(root: .record(fields))
    }
}
