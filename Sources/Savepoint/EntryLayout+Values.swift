// SPDX-License-Identifier: Apache-2.0
//  The bytes of values that are set.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension EntryLayout {
    /// The parts by which a person names an entry: those of the key, but for the chunk of a list.
    var addressParts: [Part] { descriptor.kind == .list ? Array(parts.prefix(1)) : parts }

    /// The values of the entries that stand for `value`: one, or one for each chunk of a list.
    ///
    /// - Parameter old: what is replaced. Stamps are taken from there.
    func encodedValues(
        _ value: DynamicValue?, replacing old: [(key: [UInt8], entry: SavepointEntry)], in metadata: SnapshotMetadata
    ) throws -> [[UInt8]] {
        guard let codec = self.value else {
            guard value == nil else { throw unfit("timers have no value", hint: "leave the value out") }
            return [[]]
        }
        guard let value else { throw unfit("a value is missing", hint: "its type is \(codec.schema)") }
        let stamps = old.flatMap(\.entry.stamps)
        guard descriptor.kind == .list else {
            var writer = ByteWriter()
            if hasStamps { writer.append(stamps.first ?? newStamp(metadata)) }
            try codec.encode(value, into: &writer)
            return [writer.bytes()]
        }
        guard case .array(let values) = value else {
            throw unfit("\(value.json) is no list of values", hint: "give all values: [\(codec.schema), …]")
        }
        return try stride(from: 0, to: values.count, by: Self.chunkValuesMax).map { start in
            let chunk = start..<min(start + Self.chunkValuesMax, values.count)
            var writer = ByteWriter()
            writer.appendVarint(UInt64(chunk.count))
            if hasStamps {
                for index in chunk { writer.append(index < stamps.count ? stamps[index] : newStamp(metadata)) }
            }
            for index in chunk { try codec.encode(values[index], into: &writer) }
            return writer.bytes()
        }
    }

    /// What is new counts as written when the snapshot was taken; in event time that is not known.
    func newStamp(_ metadata: SnapshotMetadata) -> Int64 {
        let isEventTime = descriptor.properties[StateDescriptor.lifeName]?.hasSuffix("eventTime") ?? false
        return isEventTime ? .min : metadata.timeMilliseconds
    }

    private func unfit(_ detail: String, hint: String) -> ThalwegError {
        ThalwegError(
            .input, "a value does not fit its state",
            detail: "state \"\(descriptor.name)\" of \"\(descriptor.operatorName)\": \(detail)", hint: hint)
    }
}

extension SavepointReader {
    /// The schema of a value that can be set: that of the state, of a list that of an array of its values; nil for
    /// timers.
    public func valueSchema(of name: String, in operatorName: String) throws -> RecordSchema? {
        let descriptor = try state(name, in: operatorName).descriptor
        guard descriptor.kind != .timers, let value = descriptor.value else { return nil }
        return descriptor.kind == .list ? RecordSchema(root: .array(value.root)) : value
    }

    /// The names and schemas of what names an entry of a state, such as `key` and `mapKey`.
    public func placeSchema(of name: String, in operatorName: String) throws -> [RecordSchema.Field] {
        try EntryLayout(try state(name, in: operatorName).descriptor).addressParts.map {
            RecordSchema.Field(name: $0.name, type: $0.codec.schema.root)
        }
    }
}
