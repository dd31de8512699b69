// SPDX-License-Identifier: Apache-2.0
//  Which part of an input a reader reads, and how far it has come.

/// A place between two records of an input: what a split keeps in its state.
@frozen
public struct ReadPosition: Hashable, Sendable, Codable {
    /// Bytes before the next unread record (of the plain data, when the input is compressed).
    public var byteOffset: UInt64
    /// Lines before it, counted from where the range starts.
    public var line: UInt64

    @inlinable
    public init(byteOffset: UInt64 = 0, line: UInt64 = 0) {
        self.byteOffset = byteOffset
        self.line = line
    }
}

/// A part of an input, in bytes.
///
/// A range may start and end anywhere: a line belongs to the range in which its first byte lies. So ranges that cover
/// a file cover each of its lines exactly once.
@frozen
public struct ReadRange: Hashable, Sendable, Codable {
    /// Where the range starts; in the middle of a line, reading starts with the next one.
    public var start: UInt64
    /// Lines that start here or later belong to the next range; nil: read to the end.
    public var end: UInt64?
    /// A position in the range from which to go on; nil: from the start.
    public var resume: ReadPosition?

    @inlinable
    public init(start: UInt64 = 0, end: UInt64? = nil, resume: ReadPosition? = nil) {
        self.start = start
        self.end = end
        self.resume = resume
    }

    /// Whether such numbers can be places in an input: what comes from a snapshot may have been edited.
    @inlinable public var isPossible: Bool {
        [start, end ?? 0, resume?.byteOffset ?? 0, resume?.line ?? 0].allSatisfy { $0 <= UInt64(Int64.max) / 2 }
    }

    /// Everything.
    @inlinable public static var all: ReadRange { ReadRange() }
}

/// The named limits of reading text.
@frozen
public struct ReadLimits: Hashable, Sendable {
    /// The longest line (or CSV record), its line end not counted.
    public var lineBytesMax = 16 * 1024 * 1024
    /// How many bytes are read at once.
    public var blockBytes = 256 * 1024
    /// How deep JSON may nest.
    public var jsonDepthMax = 512
    /// How many values the arrays of one JSON line may hold, times the fields of each.
    public var jsonArrayCellsMax = 4 * 1024 * 1024
    /// How many columns a CSV record may have.
    public var csvColumnsMax = 16 * 1024

    @inlinable
    public init() {}
}
