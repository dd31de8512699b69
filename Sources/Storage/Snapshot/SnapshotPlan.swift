// SPDX-License-Identifier: Apache-2.0
//  The job that took a snapshot, as the snapshot describes it.

import ThalwegBase
import ThalwegData

/// The steps of the job that took a snapshot, with their states and schemas: what a later form of the job is compared
/// with (D11). Lies in the metadata under the property ``propertyName``.
public struct SnapshotPlan: Hashable, Sendable {
    public struct Step: Hashable, Sendable {
        public var name: String
        /// `source`, `map`, `window`, `sink`…
        public var kind: String
        public var parallelism: Int
        /// The names of the steps it reads, input by input.
        public var inputs: [String]
        /// The schema of its keys, when it is keyed.
        public var key: RecordSchema?
        /// What a plan says of it: windows, lateness, connectors.
        public var details: [String: String]
        /// The states it declares.
        public var states: [StateDescriptor]

        public init(
            name: String, kind: String, parallelism: Int, inputs: [String], key: RecordSchema?,
            details: [String: String], states: [StateDescriptor]
        ) {
            self.name = name
            self.kind = kind
            self.parallelism = parallelism
            self.inputs = inputs
            self.key = key
            self.details = details
            self.states = states
        }
    }

    /// The version that is written, and the only one that is read.
    public static let currentVersion: Int64 = 1
    /// The longest text: a plan beyond it is left out of the metadata.
    public static let textBytesMax = 4 << 20
    /// The most steps that are read.
    public static let stepsMax = 10_000
    /// The property of the metadata.
    public static let propertyName = "plan"

    public var steps: [Step]

    public init(steps: [Step]) { self.steps = steps }

    /// The plan as JSON; nil when it is too long.
    public var text: String? {
        let tree = JSONTree.object([
            "version": .number(Self.currentVersion),
            "steps": .array(
                steps.map { step in
                    var members: [String: JSONTree] = [
                        "name": .string(step.name), "kind": .string(step.kind),
                        "parallelism": .number(Int64(step.parallelism)), "inputs": .strings(step.inputs),
                        "details": .strings(step.details), "states": .array(step.states.map(\.tree)),
                    ]
                    if let key = step.key { members["key"] = key.root.tree }
                    return .object(members)
                }),
        ])
        let bytes = tree.bytes()
        guard bytes.count <= Self.textBytesMax, steps.count <= Self.stepsMax else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads what ``text`` wrote; nil when it is something else: snapshots need no plan.
    public init?(text: String) {
        guard text.utf8.count <= Self.textBytesMax, let tree = try? JSONTree.parse(Array(text.utf8)),
            let version = try? tree.number("version"), version == Self.currentVersion,
            let steps = try? tree.array("steps"), steps.count <= Self.stepsMax,
            let read = try? steps.map({ try Step($0) })
        else { return nil }
        self.steps = read
    }
}

extension SnapshotPlan.Step {
    fileprivate init(_ tree: JSONTree) throws {
        self.init(
            name: try tree.string("name"), kind: try tree.string("kind"), parallelism: try tree.int("parallelism"),
            inputs: try tree.strings("inputs"),
            key: tree["key"] == .null ? nil : RecordSchema(root: try SchemaType(tree["key"])),
            details: try tree.texts("details"), states: try tree.array("states").map { try StateDescriptor($0) })
    }
}

extension SnapshotMetadata {
    /// The job that took the snapshot; nil when the snapshot does not say.
    public var plan: SnapshotPlan? {
        get { properties[SnapshotPlan.propertyName].flatMap { SnapshotPlan(text: $0) } }
        set { properties[SnapshotPlan.propertyName] = newValue?.text }
    }
}
