// SPDX-License-Identifier: Apache-2.0
//  A list of elements that belongs to a subtask and is shared out anew when parallelism changes (FLIP-8).

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// How the elements of all old subtasks find the new ones.
public struct OperatorListMode<Element>: Sendable {
    let kind: StateKind
    let id: (@Sendable (Element) -> UInt64)?

    /// Divided evenly, in order: subtasks differ by one element at most. At the same parallelism each keeps its own.
    public static var split: Self { Self(kind: .split, id: nil) }

    /// Every subtask can read the elements of all when it opens (``OperatorListState/forEachRestored(_:)``) and keeps
    /// what it puts into its own list.
    ///
    /// A subtask that never touches its list after a restart goes on with its share of what there was, as with
    /// ``split``; its first change of the list replaces that share. So the state cannot pile up from restart to
    /// restart.
    public static var union: Self { Self(kind: .union, id: nil) }

    /// Each element has an identity, and the identity alone decides which subtask owns it:
    /// ``OperatorListState/owns(_:)``. An element replaces the one with the same identity.
    public static func keyedList<ID: FixedWidthInteger & Sendable>(by id: @escaping @Sendable (Element) -> ID) -> Self {
        Self(kind: .keyedList, id: { UInt64(truncatingIfNeeded: id($0)) })
    }
}

/// State of a subtask: a list of elements, each of which can move on its own (FLIP-8).
///
///     struct Waiting: ProcessFunction {
///         @State var open = OperatorListState<Request>(.split)
///         ...
///     }
///
/// A snapshot replaces the one before it: it holds the lists as they are at its barrier. The copy at the barrier costs
/// one reference; the first change after it copies the array. All elements lie in memory.
public final class OperatorListState<Element: Codable & Sendable>: OperatorState {
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var items: [Element] = []
    /// Whether an element is simply appended.
    @exclusivity(unchecked) @usableFromInline var isPlain: Bool
    private let mode: OperatorListMode<Element>
    public let rebalancesOnRestore: Bool
    private var name = ""
    private var seat = OperatorSeat(operatorName: "", subtask: 0, parallelism: 1, maxParallelism: 1)
    private var stored: StoredType<Element>?
    /// Where the element of an identity lies in `items`.
    private var places: [UInt64: Int] = [:]
    private var source: (any RestoredState)?

    /// - Parameter rebalanceOnRestore: divides the elements anew at every restore, so that lists that have become
    ///   uneven are even again. Otherwise only a change of parallelism moves elements.
    public init(_ mode: OperatorListMode<Element> = .split, rebalanceOnRestore: Bool = false) {
        self.mode = mode
        rebalancesOnRestore = rebalanceOnRestore
        isPlain = mode.kind != .keyedList
    }

    // MARK: The list

    /// What this subtask holds, in order.
    @inlinable public var elements: [Element] { items }
    @inlinable public var count: Int { items.count }

    /// Adds an element at the end; in ``OperatorListMode/keyedList(by:)`` it takes the place of the one with its
    /// identity.
    @inlinable
    public func append(_ element: Element) {
        if isPlain { items.append(element) } else { place(element) }
    }

    /// Holds these elements and no others.
    public func replace(with elements: [Element]) {
        forget()
        if mode.id == nil { items = elements } else { for element in elements { place(element) } }
    }

    /// Removes the elements for which `isGone` returns true.
    public func removeAll(where isGone: (Element) throws -> Bool) rethrows {
        let kept = try items.filter { try !isGone($0) }
        replace(with: kept)
    }

    public func removeAll() { forget() }

    /// Whether this subtask owns an identity, in ``OperatorListMode/keyedList(by:)``.
    public func owns(_ id: some FixedWidthInteger) -> Bool {
        seat.keyGroups.contains(
            OperatorRedistribution.keyGroup(
                of: UInt64(truncatingIfNeeded: id), maxParallelism: seat.maxParallelism))
    }

    /// Calls `body` with the elements that all subtasks had in the snapshot, in order of the subtasks. They are read
    /// from the snapshot now, and not kept.
    ///
    /// - Throws: `ThalwegError(.job)` once the function has been opened: the snapshot may be gone by then.
    public func forEachRestored(_ body: (Element) throws -> Void) throws {
        guard let source, let stored else {
            throw ThalwegError(
                .job, "restored elements are read too late", detail: "state \"\(name)\" of \"\(seat.operatorName)\"",
                hint: "call forEachRestored in open, when the context says isRestored")
        }
        try source.entries(of: name, keyGroups: nil) { _, value in try body(try stored.codec.decode(value)) }
    }

    @usableFromInline
    func place(_ element: Element) {
        guard let id = mode.id?(element) else {
            // The first change after a restore replaces the share that was carried over.
            forget()
            return items.append(element)
        }
        if let place = places[id] {
            items[place] = element
        } else {
            places[id] = items.count
            items.append(element)
        }
    }

    private func forget() {
        items = []
        places = [:]
        isPlain = mode.kind != .keyedList
    }

    // MARK: OperatorState

    public var isBroadcast: Bool { false }

    public func bind(_ name: String, to seat: OperatorSeat) throws {
        stored = try StoredType()
        self.name = name
        self.seat = seat
    }

    public func describe() throws -> StateDescriptor {
        StateDescriptor(operatorName: seat.operatorName, name: name, kind: mode.kind, value: stored?.schema)
    }

    public func wanted() throws -> WantedState { try WantedState(name, kind: mode.kind, elements: Element.self) }

    public func freeze() throws -> StatePart {
        let descriptor = try describe()
        guard let codec = stored?.codec else { return StatePart(descriptor) { _ in } }
        guard let id = mode.id else { return .elements(items, of: seat.subtask, codec, descriptor) }
        // Another subtask may hold the same identity: it would be there twice after a restart.
        if let foreign = items.first(where: { !owns(id($0)) }) {
            throw ThalwegError(
                .job, "an element is held by a subtask that does not own its identity",
                detail: "state \"\(name)\" of \"\(seat.operatorName)\", subtask \(seat.subtask): \(id(foreign))",
                hint: "append only elements whose identity the state owns: ask owns(_:)")
        }
        let (elements, maxParallelism) = (items, seat.maxParallelism)
        return StatePart(descriptor) { writer in
            let keys = elements.map { element in
                let id = id(element)
                return (group: OperatorRedistribution.keyGroup(of: id, maxParallelism: maxParallelism), id: id)
            }
            for index in elements.indices.sorted(by: { keys[$0] < keys[$1] }) {
                var key = ByteWriter()
                key.append(UInt16(truncatingIfNeeded: keys[index].group).bigEndian)
                key.append(keys[index].id.bigEndian)
                let value = try codec.encode(elements[index])
                try key.withBytes { key in try value.withUnsafeBytes { try writer.add(key: key, value: $0) } }
            }
        }
    }

    public func isDivided(_ kind: StateKind) -> Bool { mode.kind != .keyedList }

    public func restore(from source: any RestoredState, as found: StateDescriptor, share: Range<Int>?) throws {
        guard let codec = stored?.codec else { return }
        forget()
        if let id = mode.id {
            // Only in a keyed list the key begins with a group.
            let groups = found.kind == .keyedList ? seat.keyGroups : nil
            try source.entries(of: name, keyGroups: groups) { _, value in
                let element = try codec.decode(value)
                if owns(id(element)) { place(element) }
            }
        } else if let share {
            var position = 0
            try source.entries(of: name, keyGroups: nil) { _, value in
                if share.contains(position) { items.append(try codec.decode(value)) }
                position += 1
            }
        } else {
            try source.entries(of: name, keyGroups: nil) { key, value in
                var reader = ByteReader(key)
                let old = Int(try reader.read(UInt32.self).byteSwapped)
                if old == seat.subtask { items.append(try codec.decode(value)) }
            }
        }
        if mode.kind == .union {
            self.source = source
            isPlain = false
        }
    }

    public func closeRestored() { source = nil }
}
