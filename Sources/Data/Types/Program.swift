// SPDX-License-Identifier: Apache-2.0
//  A learned type as a flat list of steps over raw memory.

import ThalwegBase

/// What to do at one place of a record's memory.
struct Step: BitwiseCopyable {
    enum Code: UInt8 {
        case bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float, double, string, time
        /// An optional starts: its body of `skip` steps follows and ends with `some`.
        case optional
        /// The payload is there: mark it.
        case some
        /// A nested record starts; its fields follow.
        case record
        case array
        case rawValue
        case codable
        /// `size` bytes of fixed-size fields without padding (codec only).
        case run
        /// The byte must be 0 or 1 (codec only; follows a run).
        case checkBool
    }

    enum NilTest: UInt8 { case tag, byte, zeroWord, witness }

    var code: Code
    var nilTest: NilTest = .witness
    var nilByte: UInt8 = 0
    /// True if there is nothing to destroy.
    var isTrivial = true
    /// Bytes from the start of the record.
    var offset: Int32
    var size: Int32 = 0
    var cell: Int32 = 0
    var node: Int32 = 0
    /// The steps of an optional's body, its `some` included.
    var skip: Int32 = 0
    /// The place in the program's table of optionals, arrays, raw values or witnesses.
    var index: Int32 = 0
    /// Where the sign of nil lies; -1 if only a witness can tell or nothing has to be marked.
    var sign: Int32 = -1
    /// Where the bytes of a nil lie in the program's nil bytes.
    var nilAt: Int32 = 0
}

/// How an array in a record is walked.
struct ArrayPlan: Sendable {
    let layout: ArrayLayout
    let program: Program
}

/// The steps of a learned type. Immutable; one per type and position, shared by all tasks.
final class Program: @unchecked Sendable {
    // Unchecked: the raw memory is written once, in init, and only read afterwards.

    /// Every node of the type, in the order of memory: for cells, keys and hashes.
    let steps: UnsafeMutablePointer<Step>
    let stepCount: Int
    /// The same with fixed-size neighbours fused: for the codec.
    let codec: UnsafeMutablePointer<Step>
    let codecCount: Int
    let nilBytes: UnsafeMutableRawPointer
    let optionals: [OptionalLayout]
    let arrays: [ArrayPlan]
    let tables: [RawValueTable]
    let codables: [CodableWitness]
    let size: Int
    /// The cells that one value takes.
    let cellWidth: Int
    /// The nodes that the steps speak of.
    let tree: CellTree
    /// The bytes every encoding has at least.
    let encodedBytesMin: Int
    /// The bytes that one record's steps write at most, not counting strings, arrays and `Codable` values.
    let encodedFixedBytesMax: Int
    /// True if a record's bytes are its encoding, and any bytes are a record.
    let isBulk: Bool

    init(_ builder: ProgramBuilder, size: Int, tree: CellTree) {
        stepCount = builder.steps.count
        steps = .allocate(capacity: max(stepCount, 1))
        steps.initialize(from: builder.steps, count: stepCount)
        codecCount = builder.codec.count
        codec = .allocate(capacity: max(codecCount, 1))
        codec.initialize(from: builder.codec, count: codecCount)
        let nilBytes = UnsafeMutableRawPointer.allocate(byteCount: max(builder.nilBytes.count, 1), alignment: 16)
        builder.nilBytes.withUnsafeBytes { bytes in
            if let source = bytes.baseAddress { nilBytes.copyMemory(from: source, byteCount: bytes.count) }
        }
        self.nilBytes = nilBytes
        optionals = builder.optionals
        arrays = builder.arrays
        tables = builder.tables
        codables = builder.codables
        self.size = size
        cellWidth = builder.cellCount
        self.tree = tree
        encodedBytesMin = builder.encodedBytesMin
        encodedFixedBytesMax = builder.encodedFixedBytesMax
        isBulk =
            builder.codec.count == 1 && builder.codec[0].code == .run && builder.codec[0].offset == 0
            && Int(builder.codec[0].size) == size
    }

    deinit {
        steps.deallocate()
        codec.deallocate()
        nilBytes.deallocate()
    }

    /// True if the optional that starts with `step` is nil.
    @inline(__always)
    func isNil(_ step: Step, _ base: UnsafeRawPointer) -> Bool {
        switch step.nilTest {
        case .tag: base.load(fromByteOffset: Int(step.sign), as: UInt8.self) != 0
        case .byte: base.load(fromByteOffset: Int(step.offset), as: UInt8.self) == step.nilByte
        case .zeroWord: base.load(fromByteOffset: Int(step.sign), as: UInt64.self) == 0
        case .witness: optionals[Int(step.index)].isNil(base + Int(step.offset))
        }
    }

    /// Writes a nil.
    @inline(__always)
    func setNil(_ step: Step, _ base: UnsafeMutableRawPointer) {
        RawCopy.copy(base + Int(step.offset), nilBytes + Int(step.nilAt), Int(step.size))
    }

    /// Destroys what the first `count` of `steps` have initialised.
    func destroy(_ base: UnsafeMutableRawPointer, _ steps: UnsafePointer<Step>, count: Int) {
        var index = 0
        while index < count {
            let step = steps[index]
            index += 1
            if step.isTrivial { continue }
            let field = base + Int(step.offset)
            switch step.code {
            case .string: field.assumingMemoryBound(to: String.self).deinitialize(count: 1)
            case .array: arrays[Int(step.index)].layout.destroy(field)
            case .codable: codables[Int(step.index)].destroy(field)
            case .optional:
                // Whole: destroy it as an optional. Broken off in its body: the body's steps say what is there.
                let end = index + Int(step.skip)
                guard end <= count else { continue }
                optionals[Int(step.index)].destroy(field)
                index = end
            default: break
            }
        }
    }
}
