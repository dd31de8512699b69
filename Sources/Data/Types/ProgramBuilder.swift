// SPDX-License-Identifier: Apache-2.0
//  Compiles a learned type into steps.

/// Collects the steps of one block of memory: a record, or an array's element.
struct ProgramBuilder {
    var steps: [Step] = []
    var codec: [Step] = []
    var nilBytes: [UInt8] = []
    var optionals: [OptionalLayout] = []
    var arrays: [ArrayPlan] = []
    var tables: [RawValueTable] = []
    var codables: [CodableWitness] = []
    var encodedBytesMin = 0
    var encodedFixedBytesMax = 0
    private(set) var cellCount = 0
    private var optionalDepth = 0
    /// Truth values inside the run at the end of `codec`.
    private var pendingBools: [Int] = []

    /// Compiles `type` into a program with all it needs.
    static func build(_ type: FieldType) -> Program {
        var tree = CellTree()
        return build(type, name: "", parent: -1, tree: &tree)
    }

    private static func build(_ type: FieldType, name: String, parent: Int, tree: inout CellTree) -> Program {
        var builder = ProgramBuilder()
        builder.add(type, name: name, offset: 0, parent: parent, isOptional: false, tree: &tree)
        builder.flushBools()
        return Program(builder, size: type.size, tree: tree)
    }

    private mutating func add(
        _ type: FieldType, name: String, offset: Int, parent: Int, isOptional: Bool, tree: inout CellTree
    ) {
        if case .optional(let optional) = type {
            return add(optional, name: name, offset: offset, parent: parent, tree: &tree)
        }
        let node = tree.add(name, parent: parent, cell: cellCount, kind: type.cellKind, isOptional: isOptional)
        var step = Step(code: type.stepCode, offset: Int32(offset))
        step.size = Int32(type.size)
        step.cell = Int32(cellCount)
        step.node = Int32(node)
        step.isTrivial = type.isBitwiseCopyable
        cellCount += 1
        switch type {
        case .scalar(let kind): addScalar(kind, step)
        case .optional: break
        case .record(let shape):
            let start = cellCount - 1
            steps.append(step)
            for field in shape.fields {
                add(
                    field.type, name: field.name, offset: offset + field.offset, parent: node, isOptional: false,
                    tree: &tree)
            }
            tree.nodes[node].width = Int32(cellCount - start)
        case .array(let array):
            step.index = Int32(arrays.count)
            let program = Self.build(array.element, name: "", parent: node, tree: &tree)
            arrays.append(ArrayPlan(layout: array, program: program))
            addVariable(step)
        case .rawValue(let table):
            step.index = Int32(tables.count)
            tables.append(table)
            addVariable(step)
        case .codable(let witness):
            step.index = Int32(codables.count)
            codables.append(witness)
            addVariable(step)
        }
    }

    private mutating func add(
        _ optional: OptionalLayout, name: String, offset: Int, parent: Int, tree: inout CellTree
    ) {
        var step = Step(code: .optional, offset: Int32(offset))
        step.size = Int32(optional.size)
        step.cell = Int32(cellCount)
        step.node = Int32(tree.nodes.count)
        step.isTrivial = optional.wrapped.isBitwiseCopyable
        step.index = Int32(optionals.count)
        step.nilAt = Int32(nilBytes.count)
        switch optional.test {
        case .tag(let place):
            step.nilTest = .tag
            step.sign = Int32(offset + place)
        case .byte(let byte):
            step.nilTest = .byte
            step.nilByte = byte
        case .zeroWord(let place):
            step.nilTest = .zeroWord
            step.sign = Int32(offset + place)
        case .witness: step.nilTest = .witness
        }
        optionals.append(optional)
        nilBytes.append(contentsOf: optional.nilBytes)
        flushBools()
        count(fixedBytes: 1)
        let (place, codecPlace) = (steps.count, codec.count)
        steps.append(step)
        codec.append(step)
        optionalDepth += 1
        add(optional.wrapped, name: name, offset: offset, parent: parent, isOptional: true, tree: &tree)
        optionalDepth -= 1
        flushBools()
        var end = step
        end.code = .some
        end.isTrivial = true
        if step.nilTest != .tag { end.sign = -1 }
        steps.append(end)
        codec.append(end)
        steps[place].skip = Int32(steps.count - place - 1)
        codec[codecPlace].skip = Int32(codec.count - codecPlace - 1)
    }

    private mutating func addScalar(_ kind: ScalarKind, _ step: Step) {
        steps.append(step)
        guard kind != .string else {
            flushBools()
            count(fixedBytes: 10, least: 1)
            codec.append(step)
            return
        }
        count(fixedBytes: kind.size)
        if let last = codec.last, last.code == .run, last.offset + last.size == step.offset {
            codec[codec.count - 1].size += step.size
        } else {
            flushBools()
            var run = step
            run.code = .run
            codec.append(run)
        }
        if kind == .bool { pendingBools.append(Int(step.offset)) }
    }

    private mutating func addVariable(_ step: Step) {
        steps.append(step)
        flushBools()
        count(fixedBytes: 10, least: 1)
        codec.append(step)
    }

    private mutating func count(fixedBytes: Int, least: Int? = nil) {
        encodedFixedBytesMax += fixedBytes
        if optionalDepth == 0 { encodedBytesMin += least ?? fixedBytes }
    }

    /// Ends a run: what may not hold any bits is checked after it.
    private mutating func flushBools() {
        for offset in pendingBools { codec.append(Step(code: .checkBool, offset: Int32(offset))) }
        pendingBools = []
    }
}

extension FieldType {
    fileprivate var cellKind: CellTree.Kind {
        switch self {
        case .scalar(let kind):
            switch kind {
            case .bool: .bool
            case .float, .double: .number
            case .string: .string
            case .time: .time
            default: .integer
            }
        case .optional(let optional): optional.wrapped.cellKind
        case .array: .array
        case .record: .record
        case .rawValue(let table): table.kind == .string ? .string : .integer
        case .codable: .raw
        }
    }

    fileprivate var stepCode: Step.Code {
        switch self {
        case .scalar(let kind): kind.stepCode
        case .optional: .optional
        case .array: .array
        case .record: .record
        case .rawValue: .rawValue
        case .codable: .codable
        }
    }
}

extension ScalarKind {
    fileprivate var stepCode: Step.Code {
        switch self {
        case .bool: .bool
        case .int8: .int8
        case .int16: .int16
        case .int32: .int32
        case .int64: .int64
        case .uint8: .uint8
        case .uint16: .uint16
        case .uint32: .uint32
        case .uint64: .uint64
        case .float: .float
        case .double: .double
        case .string: .string
        case .time: .time
        }
    }
}
