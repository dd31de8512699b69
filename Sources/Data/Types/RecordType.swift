// SPDX-License-Identifier: Apache-2.0
//  What the engine knows about a record type.

import Synchronization
import ThalwegBase

/// A record type as learned at set-up: its schema, and, if it could be proven, its layout in memory.
///
///     struct Bid: Codable, Sendable { var auction: Int64; var channel: String? }
///     let bids = try RecordType.learn(Bid.self)
///     bids.schema.description   // {auction: int64, channel: string?}
///
/// Learning decodes the type with made-up values and watches. A type whose `init(from:)` does more than to store what
/// it decodes is not proven and goes through plain `Codable`: slower, and ``unprovenReason`` says why.
public struct RecordType<Record: Codable & Sendable>: Sendable {
    /// The schema as data.
    public let schema: RecordSchema
    /// The schema's fingerprint: it versions stored bytes.
    public let fingerprint: UInt64
    /// The layout; nil if the type is not proven.
    public let layout: RecordLayout?
    /// Why there is no layout.
    public let unprovenReason: String?
    /// Fields inside a proven record that go through plain `Codable`, each with the reason.
    public let codableFields: [String]
    /// The types in it that say something of their earlier forms, by place.
    let evolving: [SchemaPath: any EvolvingRecord.Type]

    /// Learns a type. Costs about a millisecond, once in a process: what was learned is remembered.
    ///
    /// Throws for classes, which would be shared between records.
    public static func learn(_: Record.Type = Record.self) throws(ThalwegError) -> RecordType {
        let identity = ObjectIdentifier(Record.self)
        if let known = LearnedTypes.all.withLock({ $0[identity] }) as? RecordType { return known }
        let learned = try study()
        LearnedTypes.all.withLock { $0[identity] = learned }
        return learned
    }

    private static func study() throws(ThalwegError) -> RecordType {
        if Record.self is AnyClass {
            throw ThalwegError(
                .job, "a record cannot be a class", detail: "\(Record.self)",
                hint: "make it a struct, or map it to one before it leaves the chain")
        }
        let learner = Learner()
        guard let root = learner.describe(Record.self) else {
            return RecordType(unproven: "no value of \(Record.self) could be made up to study it")
        }
        if case .codable(let witness) = root { return RecordType(unproven: witness.reason) }
        do {
            try Proof(learner, root).check(Record.self)
        } catch {
            return RecordType(unproven: "\(error)")
        }
        return RecordType(proven: root)
    }

    private init(proven root: FieldType) {
        schema = RecordSchema(root: root.schema)
        fingerprint = schema.fingerprint
        layout = RecordLayout(
            root: root, size: MemoryLayout<Record>.size, stride: MemoryLayout<Record>.stride,
            alignment: MemoryLayout<Record>.alignment)
        unprovenReason = nil
        codableFields = root.codablePaths(under: "")
        evolving = root.evolvingTypes(under: [])
    }

    private init(unproven reason: String) {
        schema = RecordSchema(root: .codable("\(Record.self)"))
        fingerprint = schema.fingerprint
        layout = nil
        unprovenReason = reason
        codableFields = []
        let own = Record.self as? any EvolvingRecord.Type
        evolving = own.map { [[]: $0] } ?? [:]
    }

    /// One line for `plan`: how records of this type are handled, and why.
    public var handling: String {
        if let unprovenReason { return "\(Record.self): plain Codable, because \(unprovenReason)" }
        let exceptions =
            codableFields.isEmpty ? "" : "; through plain Codable: " + codableFields.joined(separator: ", ")
        return "\(Record.self): learned\(exceptions)"
    }
}

/// What has been learned in this process: a type's layout never changes while it runs.
private enum LearnedTypes {
    static let all = Guarded<[ObjectIdentifier: any Sendable]>([:])
}
