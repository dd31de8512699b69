// SPDX-License-Identifier: Apache-2.0
//  Turns the cells of a parsed line into a record in place.

import ThalwegBase

extension RecordLayout {
    /// Writes the record that `cells` describe into uninitialised memory.
    ///
    /// - Parameters:
    ///   - cells: ``CellTree/width`` cells of ``cellTree``.
    ///   - record: ``size`` bytes aligned to ``alignment``. If this throws, nothing is left initialised there.
    ///   - decoder: Decodes fields that only plain `Codable` understands.
    @inline(__always)
    public func assemble(
        cells: UnsafePointer<Cell>, into record: UnsafeMutableRawPointer, using decoder: (any CellDecoder)? = nil
    ) throws(CellError) {
        try program.assemble(cells, into: record, using: decoder)
    }
}

extension Program {
    func assemble(
        _ cells: UnsafePointer<Cell>, into base: UnsafeMutableRawPointer, using decoder: (any CellDecoder)?
    ) throws(CellError) {
        let steps = steps
        let stepCount = stepCount
        var index = 0
        do throws(CellError) {
            while index < stepCount {
                let step = steps + index
                let cell = cells[Int(step.pointee.cell)]
                let field = base + Int(step.pointee.offset)
                switch step.pointee.code {
                case .int64:
                    field.storeBytes(
                        of: cell.kind == .int ? Int64(bitPattern: cell.bits) : try cell.signed(.int64), as: Int64.self)
                case .string:
                    field.initializeMemory(as: String.self, to: try cell.string())
                case .time:
                    field.storeBytes(
                        of: cell.kind == .int ? Int64(bitPattern: cell.bits) : try cell.time(), as: Int64.self)
                case .double:
                    field.storeBytes(
                        of: cell.kind == .double ? cell.bits : try cell.double().bitPattern, as: UInt64.self)
                case .bool:
                    field.storeBytes(
                        of: cell.kind == .bool ? UInt8(truncatingIfNeeded: cell.bits) & 1 : try cell.bool() ? 1 : 0,
                        as: UInt8.self)
                case .optional:
                    if cell.isAbsent {
                        setNil(step.pointee, base)
                        index &+= Int(step.pointee.skip)
                    }
                case .some:
                    let sign = Int(step.pointee.sign)
                    if sign >= 0 { base.storeBytes(of: 0, toByteOffset: sign, as: UInt8.self) }
                case .int32:
                    field.storeBytes(of: try cell.narrow(Int32.self, .int32), as: Int32.self)
                case .record:
                    if cell.kind != .record { throw cell.mismatch("a record") }
                case .float:
                    field.storeBytes(of: try cell.float(), as: Float.self)
                default: try assembleOther(step.pointee, cell, field, decoder)
                }
                index &+= 1
            }
        } catch {
            destroy(base, steps, count: index)
            let path = tree.path(to: Int(steps[index].node))
            throw path.isEmpty ? error : error.under(path)
        }
    }

    @inline(never)
    private func assembleOther(
        _ step: Step, _ cell: Cell, _ field: UnsafeMutableRawPointer, _ decoder: (any CellDecoder)?
    ) throws(CellError) {
        switch step.code {
        case .int8: field.storeBytes(of: try cell.narrow(Int8.self, .int8), as: Int8.self)
        case .int16: field.storeBytes(of: try cell.narrow(Int16.self, .int16), as: Int16.self)
        case .uint8: field.storeBytes(of: try cell.narrow(UInt8.self, .uint8), as: UInt8.self)
        case .uint16: field.storeBytes(of: try cell.narrow(UInt16.self, .uint16), as: UInt16.self)
        case .uint32: field.storeBytes(of: try cell.narrow(UInt32.self, .uint32), as: UInt32.self)
        case .uint64: field.storeBytes(of: try cell.unsigned(), as: UInt64.self)
        case .rawValue:
            let table = tables[Int(step.index)]
            let tag = try cell.tag(in: table)
            if table.tagSize == 1 { field.storeBytes(of: tag, as: UInt8.self) }
        case .array: try assembleArray(arrays[Int(step.index)], cell, field, decoder)
        case .codable:
            let witness = codables[Int(step.index)]
            guard cell.kind != .missing else { throw cell.mismatch(witness.typeName) }
            guard let decoder else {
                throw CellError(
                    field: "", reason: "\(witness.typeName) needs plain Codable, which this format does not offer")
            }
            do {
                try witness.assemble(cell, using: decoder, into: field)
            } catch {
                throw CellError(field: "", reason: "no \(witness.typeName): \(error)")
            }
        default: preconditionFailure("no such step")
        }
    }

    private func assembleArray(
        _ plan: ArrayPlan, _ cell: Cell, _ field: UnsafeMutableRawPointer, _ decoder: (any CellDecoder)?
    ) throws(CellError) {
        guard cell.kind == .array, cell.length == 0 || cell.bits != 0 else { throw cell.mismatch("an array") }
        let width = plan.program.cellWidth
        let block = UnsafePointer<Cell>(bitPattern: UInt(cell.bits))
        let count = block == nil ? 0 : Int(cell.length)
        var failure: CellError?
        plan.layout.make(field, count) { elements, done in
            guard let block else { return }
            do throws(CellError) {
                while done < count {
                    try plan.program.assemble(
                        block + done &* width, into: elements + done &* plan.layout.stride, using: decoder)
                    done &+= 1
                }
            } catch {
                failure = error.under("[\(done)]")
            }
        }
        if let failure {
            plan.layout.destroy(field)
            throw failure
        }
    }
}
