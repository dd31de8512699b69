// SPDX-License-Identifier: Apache-2.0
//  Entries as records of a Swift type.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Turns entries of a state into records whose fields are those of the entries: `key`, `value`, `mapKey`, `window`,
/// `time`, `index`, `stamp` and so on, any of them; of a list a record for each value, with its `index`.
///
///     struct Offer: Codable, Sendable { var key: Int64; var value: Price }
///     let offers = try EntryRows<Offer>(of: reader.state("offer", in: "auctions").descriptor)
///
/// Works for every kind of state. A field that its entries lack, such as the `stamp` of state that does not expire, is
/// refused.
public struct EntryRows<Row: Codable & Sendable>: Sendable {
    private let layout: EntryLayout
    private let fields: [RecordSchema.Field]
    private let encoder: DynamicCodec
    private let decoder: RecordCodec<Row>

    /// - Throws: kind `job` when a field of the type is none of the entries', or has another type there.
    public init(of state: StateDescriptor) throws {
        layout = try EntryLayout(state)
        let type = try RecordType<Row>.learn()
        let known = Self.fields(layout)
        fields = type.schema.fields
        let others = fields.filter { !known.contains($0) }
        guard !fields.isEmpty, others.isEmpty, type.layout != nil else {
            let wanted =
                type.layout == nil ? type.handling : others.map { "\($0.name): \($0.type)" }.joined(separator: ", ")
            throw ThalwegError(
                .job, "a type does not fit the entries of a state",
                detail: "state \"\(state.name)\" of \"\(state.operatorName)\": \(wanted)",
                hint: "its fields may be " + known.map { "\($0.name): \($0.type)" }.joined(separator: ", "))
        }
        encoder = DynamicCodec(type.schema)
        decoder = RecordCodec(type)
    }

    private static func fields(_ layout: EntryLayout) -> [RecordSchema.Field] {
        var fields = layout.parts.filter { $0.name != "chunk" }.map {
            RecordSchema.Field(name: $0.name, type: $0.codec.schema.root)
        }
        if layout.descriptor.kind == .list { fields.append(.init(name: "index", type: .scalar(.int64))) }
        if layout.hasStamps { fields.append(.init(name: "stamp", type: .scalar(.time))) }
        if let value = layout.value { fields.append(.init(name: "value", type: value.schema.root)) }
        return fields
    }

    /// The records of an entry.
    public func rows(of entry: SavepointEntry) throws -> [Row] {
        guard layout.descriptor.kind == .list, case .array(let values)? = entry.value else {
            return [try row(entry, entry.value, stamp: entry.stamps.first, index: 0)]
        }
        var first: Int64 = 0
        if case .integer(let chunk)? = entry.place.last?.value { first = chunk * Int64(EntryLayout.chunkValuesMax) }
        return try values.enumerated().map { place, value in
            try row(
                entry, value, stamp: entry.stamps.isEmpty ? nil : entry.stamps[place], index: first + Int64(place))
        }
    }

    private func row(_ entry: SavepointEntry, _ value: DynamicValue?, stamp: Int64?, index: Int64) throws -> Row {
        let values = fields.map { field -> DynamicValue.Field in
            switch field.name {
            case "value": DynamicValue.Field(field.name, value ?? .null)
            case "stamp": DynamicValue.Field(field.name, .time(EventTime(milliseconds: stamp ?? .min)))
            default:
                DynamicValue.Field(
                    field.name, entry.place.first { $0.name == field.name }?.value ?? .integer(index))
            }
        }
        var bytes = ByteWriter(capacity: 128)
        try encoder.encode(.record(values), into: &bytes)
        return try bytes.withBytes { try decoder.decode($0) }
    }
}

extension SavepointReader {
    /// Reads a state of any kind as records of a Swift type; see ``EntryRows``.
    ///
    /// - Parameter body: called with each record, in the order in which entries are stored.
    /// - Throws: kind `job` when the type does not fit.
    public func forEachRow<Row: Codable & Sendable>(
        of name: String, in operatorName: String, as _: Row.Type, where filter: EntryFilter = .all,
        matching condition: String? = nil, _ body: (Row) throws -> Void
    ) throws {
        let rows = try EntryRows<Row>(of: try state(name, in: operatorName).descriptor)
        let entries = try entries(of: name, in: operatorName, where: filter, matching: condition)
        while let entry = try entries.next() { for row in try rows.rows(of: entry) { try body(row) } }
    }
}
