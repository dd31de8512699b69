// SPDX-License-Identifier: Apache-2.0
//  What is different between two snapshots.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// How a state differs between two snapshots.
public struct StateDifference: Sendable {
    public let operatorName: String
    public let name: String
    /// Entries that only the second has.
    public fileprivate(set) var added = 0
    /// Entries that only the first has.
    public fileprivate(set) var removed = 0
    /// Entries with another value, or another stamp.
    public fileprivate(set) var changed = 0
    /// Why entries were not compared one by one: the state is not in both, or its types differ.
    public fileprivate(set) var reason: String?

    public var isNone: Bool { added == 0 && removed == 0 && changed == 0 && reason == nil }
}

/// An entry that two snapshots do not share.
public enum EntryDifference: Sendable {
    case added(SavepointEntry)
    case removed(SavepointEntry)
    case changed(from: SavepointEntry, to: SavepointEntry)
}

extension SavepointReader {
    /// Compares the states of two snapshots, entry by entry in the order of their keys; in memory is a block of each
    /// file.
    ///
    /// - Parameter body: told every difference of a state that is in both with the same types.
    /// - Returns: one for each state of either, also of those that are the same.
    /// - Throws: kind `input` when they have different numbers of key groups.
    public func differences(
        to other: SavepointReader,
        _ body: (StateDescriptor, EntryDifference) throws -> Void = { _, _ in }
    ) throws -> [StateDifference] {
        guard maxParallelism == other.maxParallelism else {
            throw ThalwegError(
                .input, "snapshots with different numbers of key groups cannot be compared",
                detail: "\(path): \(maxParallelism), \(other.path): \(other.maxParallelism)",
                hint: "make a copy of one: thalweg state reshard PATH OUT --max-parallelism \(other.maxParallelism)")
        }
        let mine = Self.byName(operators)
        let theirs = Self.byName(other.operators)
        return try Set(mine.keys).union(theirs.keys).sorted().map { name in
            try difference(mine[name], theirs[name], other, body)
        }
    }

    private struct Name: Hashable, Comparable {
        let operatorName: String
        let name: String

        static func < (left: Name, right: Name) -> Bool {
            (left.operatorName, left.name) < (right.operatorName, right.name)
        }
    }

    private static func byName(_ operators: [SavepointOperator]) -> [Name: SavepointState] {
        var states: [Name: SavepointState] = [:]
        for known in operators {
            for state in known.states { states[Name(operatorName: known.name, name: state.name)] = state }
        }
        return states
    }

    private func difference(
        _ first: SavepointState?, _ second: SavepointState?, _ other: SavepointReader,
        _ body: (StateDescriptor, EntryDifference) throws -> Void
    ) throws -> StateDifference {
        guard let state = (first ?? second)?.descriptor else {
            throw ThalwegError(.bug, "a state of neither snapshot is compared")
        }
        var found = StateDifference(operatorName: state.operatorName, name: state.name)
        guard let first, let second else {
            // A state without entries may be written or not.
            found.added = second == nil ? 0 : try other.count(of: state.name, in: state.operatorName)
            found.removed = first == nil ? 0 : try count(of: state.name, in: state.operatorName)
            if found.added + found.removed > 0 {
                found.reason = first == nil ? "only in the second" : "only in the first"
            }
            return found
        }
        guard first.descriptor.form == second.descriptor.form else {
            found.added = try other.count(of: state.name, in: state.operatorName)
            found.removed = try count(of: state.name, in: state.operatorName)
            found.reason = "\(first.descriptor.form) and \(second.descriptor.form)"
            return found
        }
        try compare(first.descriptor, other, into: &found, body)
        return found
    }

    private func compare(
        _ state: StateDescriptor, _ other: SavepointReader, into found: inout StateDifference,
        _ body: (StateDescriptor, EntryDifference) throws -> Void
    ) throws {
        let left = try entries(of: state.name, in: state.operatorName)
        let right = try other.entries(of: state.name, in: state.operatorName)
        var (hasLeft, hasRight) = (try left.step(), try right.step())
        while hasLeft || hasRight {
            let order = hasLeft && hasRight ? Self.order(left, right) : hasLeft ? -1 : 1
            if order < 0 {
                found.removed += 1
                if let entry = try left.current() { try body(state, .removed(entry)) }
            } else if order > 0 {
                found.added += 1
                if let entry = try right.current() { try body(state, .added(entry)) }
            } else if !Self.isEqual(left, right) {
                found.changed += 1
                if let from = try left.current(), let to = try right.current() {
                    try body(state, .changed(from: from, to: to))
                }
            }
            if order <= 0 { hasLeft = try left.step() }
            if order >= 0 { hasRight = try right.step() }
        }
    }

    private static func order(_ left: SavepointEntries, _ right: SavepointEntries) -> Int {
        guard let left = left.bytes?.key, let right = right.bytes?.key else { return 0 }
        if left.elementsEqual(right) { return 0 }
        return left.lexicographicallyPrecedes(right) ? -1 : 1
    }

    private static func isEqual(_ left: SavepointEntries, _ right: SavepointEntries) -> Bool {
        guard let left = left.bytes?.value, let right = right.bytes?.value else { return true }
        return left.elementsEqual(right)
    }
}
