// SPDX-License-Identifier: Apache-2.0
//  CSV and JSON lines: the same records however the bytes arrive, and each line once however a file is divided.

import ThalwegFormats
import ThalwegSavepoint

/// What a reader gives: records, and what it says of the others.
private struct Answer {
    /// Written again, as records may hold what is not equal to itself.
    var rows: [[UInt8]] = []
    var errors: [String] = []
}

/// One format of one type.
private struct FormatTrial<Record: Codable & Sendable>: Sendable {
    let format: InputFormat<Record>
    let written: @Sendable (Record) throws -> [UInt8]

    init(_ format: InputFormat<Record>, written: @escaping @Sendable (Record) throws -> [UInt8]) {
        self.format = format
        self.written = written
    }

    init(_ format: InputFormat<Record>) throws {
        let codec = RecordCodec(try RecordType<Record>.learn())
        self.init(format) { try codec.encode($0) }
    }

    func run(_ bytes: [UInt8], chunk: Int, cut: Int) throws {
        let whole = try read(bytes)
        let ragged = try read(bytes, chunk: chunk)
        guard whole.rows == ragged.rows, whole.errors == ragged.errors else {
            throw BrokenPromise("\(format.name): other records in pieces of \(chunk) bytes")
        }
        // What begins like gzip is read as a whole.
        guard format.isSplittable, !bytes.starts(with: [0x1F, 0x8B]) else { return }
        let place = UInt64(cut % (bytes.count + 1))
        let (first, second) = (
            try read(bytes, ReadRange(start: 0, end: place)), try read(bytes, ReadRange(start: place))
        )
        guard first.rows + second.rows == whole.rows, first.errors.count + second.errors.count == whole.errors.count
        else { throw BrokenPromise("\(format.name): other records when cut at byte \(place)") }
    }

    private func read(_ bytes: [UInt8], _ range: ReadRange = .all, chunk: Int = .max) throws -> Answer {
        let reader = try format.makeReader(MemoryByteSource(bytes, chunkBytesMax: chunk), range: range)
        let rows = UnsafeMutablePointer<Record>.allocate(capacity: 5)
        defer { rows.deallocate() }
        var answer = Answer()
        while true {
            let count = try reader.read(into: rows, positions: nil, capacity: 5) { error in
                answer.errors.append("\(error.byteOffset) \(error.reason)")
                _ = error.thalwegError.description
            }
            if count == 0 { return answer }
            for row in 0..<count { answer.rows.append(try written((rows + row).move())) }
        }
    }
}

/// Limits that an input can reach.
private var limits: ReadLimits {
    var limits = ReadLimits()
    limits.lineBytesMax = 1 << 10
    limits.blockBytes = 256
    limits.jsonDepthMax = 32
    limits.jsonArrayCellsMax = 1 << 12
    limits.csvColumnsMax = 64
    return limits
}

struct CSVTarget: FuzzTarget {
    private let inner: [FormatTrial<Inner>]
    private let wide: [FormatTrial<Wide>]

    init() throws {
        inner = try [true, false].map {
            try FormatTrial(.csv(Inner.self, header: false, multiline: $0, limits: limits))
        }
        wide = [
            try FormatTrial(.csv(Wide.self, limits: limits)),
            try FormatTrial(.csv(Wide.self, header: false, separator: "\t", nullText: "NULL", limits: limits)),
        ]
    }

    func run(_ input: inout FuzzInput) throws {
        let kind = input.choice(of: 4)
        let (chunk, cut) = (1 + input.choice(of: 100), input.number16())
        let bytes = input.takeAll()
        if kind < 2 {
            try inner[kind].run(bytes, chunk: chunk, cut: cut)
        } else {
            try wide[kind - 2].run(bytes, chunk: chunk, cut: cut)
        }
    }
}

struct JSONTarget: FuzzTarget {
    private let wide: FormatTrial<Wide>
    private let deep: FormatTrial<Deep>
    private let doubled: FormatTrial<Doubled>
    private let lines: FormatTrial<String>

    init() throws {
        wide = try FormatTrial(.json(limits: limits))
        deep = try FormatTrial(.json(limits: limits))
        doubled = try FormatTrial(.json(limits: limits))
        lines = FormatTrial(.lines(limits: limits)) { Array($0.utf8) }
    }

    func run(_ input: inout FuzzInput) throws {
        let kind = input.choice(of: 4)
        let (chunk, cut) = (1 + input.choice(of: 100), input.number16())
        let bytes = input.takeAll()
        switch kind {
        case 0: try wide.run(bytes, chunk: chunk, cut: cut)
        case 1: try deep.run(bytes, chunk: chunk, cut: cut)
        case 2: try doubled.run(bytes, chunk: chunk, cut: cut)
        default: try lines.run(bytes, chunk: chunk, cut: cut)
        }
    }
}
