// SPDX-License-Identifier: Apache-2.0
//  Whether values of a stored schema can become values of a wanted one.

import ThalwegBase

/// One difference between a stored schema and the wanted one that values survive.
public struct SchemaStep: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case added, removed, renamed, widened, optional, required, reordered
        /// An enum has new cases.
        case casesAdded
        /// An enum has become its raw value.
        case rawValue
        /// By a function of the user's.
        case migrated
    }

    public var kind: Kind
    /// The field, as in `lines[].price`; empty for the value itself.
    public var path: String
    public var detail: String

    public var description: String { (path.isEmpty ? "" : "\(path): ") + detail }
}

/// Why values of a stored schema cannot become values of the wanted one.
public struct SchemaObstacle: Hashable, Sendable, CustomStringConvertible {
    /// The field, as in `lines[].price`; empty for the value itself.
    public var path: String
    public var reason: String
    /// What to do about it.
    public var fix: String

    public var description: String { (path.isEmpty ? "" : "\(path): ") + reason }
}

/// What becomes of values of a stored schema under a wanted one. Decided from the schemas and what is declared alone,
/// so that a plan and a restore cannot disagree.
public enum SchemaVerdict: Sendable {
    /// The same bytes mean the same.
    case same
    case migrated(SchemaConversion)
    case incompatible([SchemaObstacle])

    /// Compares two schemas.
    ///
    /// - Parameter declared: what the wanted type says of its earlier forms.
    public init(from stored: RecordSchema, to wanted: RecordSchema, declared: DeclaredEvolution = .init()) {
        if stored == wanted {
            self = .same
            return
        }
        var search = ConversionSearch(declared: declared)
        guard let node = search.conversion(from: stored.root, to: wanted.root, at: []) else {
            self = .incompatible(search.obstacles)
            return
        }
        // Only what is not known of the cases of an enum can differ without a step.
        self = search.steps.isEmpty ? .same : .migrated(SchemaConversion(stored, wanted, search.steps, node))
    }

    /// What happens to values; empty unless they are migrated.
    public var steps: [SchemaStep] {
        if case .migrated(let conversion) = self { conversion.steps } else { [] }
    }

    /// Why nothing can be done; empty if something can.
    public var obstacles: [SchemaObstacle] {
        if case .incompatible(let obstacles) = self { obstacles } else { [] }
    }
}

/// Turns values of one schema into values of another. Made once for a stored schema, called for each value; from any
/// thread.
public struct SchemaConversion: Sendable {
    public let stored: RecordSchema
    public let wanted: RecordSchema
    public let steps: [SchemaStep]
    private let node: ConversionNode
    private let storedCodec: DynamicCodec
    private let wantedCodec: DynamicCodec

    init(_ stored: RecordSchema, _ wanted: RecordSchema, _ steps: [SchemaStep], _ node: ConversionNode) {
        self.stored = stored
        self.wanted = wanted
        self.steps = steps
        self.node = node
        storedCodec = DynamicCodec(stored)
        wantedCodec = DynamicCodec(wanted)
    }

    /// Whether stored bytes can be read as they are.
    public var keepsBytes: Bool { node.isIdentity }

    /// Whether two different values can become the same.
    public var mayMerge: Bool { steps.contains { $0.kind == .removed || $0.kind == .migrated || $0.kind == .required } }

    /// The value in the wanted schema.
    ///
    /// - Throws: kind `job` when a function of the user's fails.
    public func convert(_ value: DynamicValue) throws(ThalwegError) -> DynamicValue { try node.convert(value) }

    /// Reads a value in its encoding as a record and appends it in that of the wanted schema.
    public func convert(_ reader: inout ByteReader, into writer: inout ByteWriter) throws(ThalwegError) {
        try wantedCodec.encode(try convert(try storedCodec.decode(&reader)), into: &writer)
    }

    /// Reads a value in its encoding as a key and appends it in that of the wanted schema.
    ///
    /// - Returns: the new key, as for its hash.
    @discardableResult
    public func convertKey(
        _ reader: inout ByteReader, into writer: inout ByteWriter
    ) throws(ThalwegError) -> DynamicValue {
        let key = try convert(try storedCodec.decodeKey(&reader))
        try wantedCodec.encodeKey(key, into: &writer)
        return key
    }

    /// The stable hash of a key of the wanted schema.
    public func hash(_ key: DynamicValue) throws(ThalwegError) -> UInt64 { try wantedCodec.hash(key) }
}
