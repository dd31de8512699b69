// SPDX-License-Identifier: Apache-2.0
//  What a snapshot holds of a step, seen as the step declares it now.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// The restored state of one step after every migration: under the names that its states have now, entries converted.
/// Nothing is rewritten: each entry is converted when it is read.
public struct UpgradedState: RestoredState {
    private let source: any RestoredState
    private let maxParallelism: Int
    /// How each state is taken over, by the name that it has now.
    private let verdicts: [String: StateVerdict]
    public let states: [StateDescriptor]

    /// - Parameter verdicts: of the states of the step; those that are lost or new are not seen.
    public init(_ source: any RestoredState, _ verdicts: [StateVerdict], maxParallelism: Int) {
        self.source = source
        self.maxParallelism = maxParallelism
        let taken = verdicts.filter { !$0.loses && $0.outcome != .new }
        self.verdicts = Dictionary(taken.map { ($0.name, $0) }) { first, _ in first }
        states = taken.compactMap { $0.conversion?.converted ?? $0.stored }.sorted { $0.name < $1.name }
    }

    public var parallelism: Int { source.parallelism }
    /// As they were stored: who goes on from them looks whether they are as it would write them.
    public var segments: RestoredSegments? { source.segments }

    public func entryCount(of state: String) throws -> Int {
        try verdicts[state].map { try source.entryCount(of: $0.formerName ?? $0.name) } ?? 0
    }

    public func entries(
        of state: String, keyGroups: Range<Int>?,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard let verdict = verdicts[state] else { return }
        let name = verdict.formerName ?? verdict.name
        guard let conversion = verdict.conversion, !conversion.keepsBytes else {
            return try source.entries(of: name, keyGroups: keyGroups, body)
        }
        var entry = ConvertedEntry()
        var seen: Set<UInt64> = []
        // Keys that move may come from any group.
        try source.entries(of: name, keyGroups: conversion.movesKeys ? nil : keyGroups) { key, value in
            let group = try conversion.convert(key: key, value: value, into: &entry)
            if conversion.movesKeys, let keyGroups, let group, !keyGroups.contains(group) { return }
            try entry.key.withBytes { key in
                if conversion.mayMerge, !seen.insert(StableHash.bytes(key)).inserted { throw Self.merged(conversion) }
                try entry.value.withBytes { try body(key, $0) }
            }
        }
    }

    private static func merged(_ conversion: EntryConversion) -> ThalwegError {
        ThalwegError(
            .job, "two stored keys become one",
            detail: "operator \"\(conversion.stored.operatorName)\", state \"\(conversion.stored.name)\"",
            hint: "declare a migration that gives different keys for different keys")
    }
}
