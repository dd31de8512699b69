// SPDX-License-Identifier: Apache-2.0
//  Places the fields of one struct in its memory.

import ThalwegBase

/// The study of one struct: what it decodes, what it stores, and which is which.
///
/// Swift lays stored properties out one after the other, each aligned. Reflection gives their number, order and types;
/// that and the layout rule must give the struct's size. A decoded field is matched to the stored property of its type
/// that held the decoded bytes in every run.
struct Study<Value: Decodable> {
    private struct Slot {
        let label: String
        let type: any Any.Type
        let offset: Int
        let size: Int
    }

    private struct Run {
        let form: Recorder.Form
        let fields: [RecordedField]
        let bytes: [UInt8]
        let slots: [Slot]
    }

    private let learner: Learner
    private let runs: [Run]

    init(_: Value.Type, _ learner: Learner) throws {
        self.learner = learner
        runs = try (0..<Learner.studyRuns).map { try Self.run(seed: UInt64($0), learner) }
    }

    private static func run(seed: UInt64, _ learner: Learner) throws -> Run {
        let recorder = Recorder(learner)
        let probe = Probe(learner, seed: seed, presence: .all)
        let decoder = ProbeDecoder(probe: probe, role: .study(recorder), depth: 0)
        let value: Value
        do {
            value = try Value(from: decoder)
        } catch {
            if let refusal = recorder.refusal { throw Refusal(refusal) }
            throw error
        }
        if let refusal = recorder.refusal { throw Refusal(refusal) }
        let mirror = Mirror(reflecting: value)
        guard !(value is any CustomReflectable), mirror.displayStyle == .struct else {
            throw Refusal("its stored properties cannot be seen")
        }
        return Run(
            form: recorder.form ?? .keyed, fields: recorder.fields, bytes: withUnsafeBytes(of: value) { Array($0) },
            slots: try slots(mirror))
    }

    /// The stored properties with their places by the layout rule.
    private static func slots(_ mirror: Mirror) throws -> [Slot] {
        func measure<Stored>(_: Stored) -> (type: any Any.Type, size: Int, alignment: Int) {
            (Stored.self, MemoryLayout<Stored>.size, MemoryLayout<Stored>.alignment)
        }
        var slots: [Slot] = []
        var end = 0
        for child in mirror.children {
            let (type, size, alignment) = _openExistential(child.value, do: measure)
            let offset = (end + alignment - 1) / alignment * alignment
            slots.append(Slot(label: child.label ?? "", type: type, offset: offset, size: size))
            end = offset + size
        }
        guard end == MemoryLayout<Value>.size else { throw Refusal("its memory is not laid out as expected") }
        return slots
    }

    /// The struct as a record, or, if it decodes itself as one value, as that.
    func result() throws -> FieldType {
        let first = runs[0]
        for run in runs {
            guard run.form == first.form, run.fields.map(\.name) == first.fields.map(\.name),
                run.fields.elementsEqual(first.fields, by: { $0.swiftType == $1.swiftType })
            else { throw Refusal("it decodes other fields at times") }
        }
        guard first.fields.count == first.slots.count else {
            throw Refusal("it stores \(first.slots.count) properties and decodes \(first.fields.count)")
        }
        let places = try placeFields()
        let type: FieldType
        if first.form == .single, first.fields.count == 1 {
            type = first.fields[0].type
        } else {
            let decoded = first.fields.indices.map { index in
                FieldLayout(
                    name: first.fields[index].name, type: first.fields[index].type, offset: places[index].offset)
            }
            // Empty fields share an offset with their neighbour: the order of the slots decides.
            let order = decoded.indices.sorted { places[$0].slot < places[$1].slot }
            var decodingOrder = [Int](repeating: 0, count: order.count)
            for (place, index) in order.enumerated() { decodingOrder[index] = place }
            type = .record(
                RecordShape(
                    fields: order.map { decoded[$0] }, size: MemoryLayout<Value>.size,
                    stride: MemoryLayout<Value>.stride, alignment: MemoryLayout<Value>.alignment,
                    decodingOrder: decodingOrder, evolving: Value.self as? any EvolvingRecord.Type))
        }
        try Proof(learner, type).check(Value.self)
        return type
    }

    /// For each decoded field, the slot that held its bytes in every run.
    private func placeFields() throws -> [(slot: Int, offset: Int)] {
        let slots = runs[0].slots
        var free = Set(slots.indices)
        var places: [(slot: Int, offset: Int)] = []
        for index in runs[0].fields.indices {
            let field = runs[0].fields[index]
            let candidates = free.sorted().filter { slots[$0].type == field.swiftType && holds(index, slots[$0]) }
            let named = candidates.first { slots[$0].label == field.name }
            // Of equals, any will do to begin with: the proof that follows has more runs.
            guard let slot = named ?? candidates.first else {
                throw Refusal("\"\(field.name)\" is not stored as it is decoded (\(field.swiftType))")
            }
            free.remove(slot)
            places.append((slot, slots[slot].offset))
        }
        return places
    }

    /// True if the slot held the field's bytes in every run.
    private func holds(_ index: Int, _ slot: Slot) -> Bool {
        let mask = runs[0].fields[index].type.ownBytes
        return runs.allSatisfy { run in
            let bytes = run.fields[index].bytes
            return bytes.indices.allSatisfy { !mask[$0] || bytes[$0] == run.bytes[slot.offset + $0] }
        }
    }
}

extension FieldType {
    /// For each byte of a present value, whether it belongs to the value and is not padding.
    var ownBytes: [Bool] {
        switch self {
        case .optional(let optional):
            let payload = optional.wrapped.ownBytes
            return payload + [Bool](repeating: true, count: optional.size - payload.count)
        case .record(let shape):
            var mask = [Bool](repeating: false, count: shape.size)
            for field in shape.fields {
                for (index, isOwn) in field.type.ownBytes.enumerated() { mask[field.offset + index] = isOwn }
            }
            return mask
        case .codable(let witness):
            // Padding inside is unknown, so the type alone decides where it lies; small values have none.
            return [Bool](
                repeating: witness.size <= 1 || !witness.isBitwiseCopyable && witness.size == 8, count: witness.size)
        default: return [Bool](repeating: true, count: size)
        }
    }
}
