// SPDX-License-Identifier: Apache-2.0
//  The states that belong to a subtask rather than to keys: named, frozen and restored together (FLIP-8).

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Whatever a function can declare with `@State`: keyed state or operator state.
public protocol DeclaredState: AnyObject {}

/// One subtask of an operator, as its states know it.
public struct OperatorSeat: Sendable {
    public let operatorName: String
    public let subtask: Int
    public let parallelism: Int
    public let maxParallelism: Int

    public init(operatorName: String, subtask: Int, parallelism: Int, maxParallelism: Int) {
        self.operatorName = operatorName
        self.subtask = subtask
        self.parallelism = parallelism
        self.maxParallelism = maxParallelism
    }

    /// The key groups of this subtask.
    var keyGroups: Range<Int> {
        KeyGroup.range(subtask: subtask, maxParallelism: maxParallelism, parallelism: parallelism)
    }
}

/// State of a subtask rather than of a key (FLIP-8).
public protocol OperatorState: DeclaredState {
    /// Whether only the broadcast side of a function may write it.
    var isBroadcast: Bool { get }
    /// Whether its elements are divided anew even if the parallelism stays.
    var rebalancesOnRestore: Bool { get }
    /// Learns what it holds, and for whom. Called once, before anything else.
    func bind(_ name: String, to seat: OperatorSeat) throws
    /// What a snapshot says of it.
    func describe() throws -> StateDescriptor
    /// What it wants of a snapshot.
    func wanted() throws -> WantedState
    /// The state as it is now, to be written later.
    func freeze() throws -> StatePart
    /// Whether what a snapshot holds in `kind` is divided by position: then it takes part in the rotation of shares.
    func isDivided(_ kind: StateKind) -> Bool
    /// Takes over what a snapshot holds.
    ///
    /// - Parameter share: the positions among all elements that this subtask gets; nil when nothing is divided.
    func restore(from source: any RestoredState, as found: StateDescriptor, share: Range<Int>?) throws
    /// The function has looked at what was restored: nobody may ask for it any more.
    func closeRestored()
}

/// The operator states of one function in one subtask. Used by one task alone.
public final class OperatorStates {
    private var states: [(name: String, state: any OperatorState)] = []
    private var seat = OperatorSeat(operatorName: "", subtask: 0, parallelism: 1, maxParallelism: 1)

    public init() {}

    public var isEmpty: Bool { states.isEmpty }
    public var names: [String] { states.map(\.name) }

    /// Hangs a state on this subtask.
    ///
    /// - Throws: `ThalwegError(.job)` when the name is taken or the element's type cannot be stored.
    public func bind(_ name: String, _ state: any OperatorState, to seat: OperatorSeat) throws {
        if states.contains(where: { $0.name == name }) {
            throw ThalwegError(
                .job, "two states have the same name", detail: "\"\(name)\" in operator \"\(seat.operatorName)\"",
                hint: "give each state its own name")
        }
        self.seat = seat
        try state.bind(name, to: seat)
        states.append((name, state))
    }

    /// The states as they are now.
    public func freeze() throws -> [StatePart] { try states.map { try $0.state.freeze() } }

    /// Declares the states.
    public func declare(_ declarations: inout StateDeclarations) throws {
        for (_, state) in states { declarations.add(try state.wanted()) }
    }

    /// Takes over what belongs to this subtask now. Every subtask must declare the same states in the same order.
    public func restore(from source: any RestoredState) throws {
        var found: [(state: any OperatorState, descriptor: StateDescriptor)] = []
        for (name, state) in states {
            guard let descriptor = source.states.first(where: { $0.name == name }) else { continue }
            try check(descriptor, against: try state.describe())
            found.append((state, descriptor))
        }
        let divided = found.map { state, descriptor in
            let isMoved = source.parallelism != seat.parallelism || descriptor.kind == .keyedList
            return state.isDivided(descriptor.kind) && (isMoved || state.rebalancesOnRestore)
        }
        // Elements are counted through over all old subtasks, so that each state is one list to divide.
        let lists = try zip(found, divided).filter(\.1).map { [try source.entryCount(of: $0.0.descriptor.name)] }
        var shares = OperatorRedistribution.split(
            lists: lists, oldParallelism: source.parallelism, newParallelism: seat.parallelism, rebalance: true
        ).makeIterator()
        for ((state, descriptor), isDivided) in zip(found, divided) {
            let runs = isDivided ? shares.next()?[seat.subtask] ?? [] : []
            try state.restore(from: source, as: descriptor, share: isDivided ? runs.first?.range ?? 0..<0 : nil)
        }
    }

    /// See ``OperatorState/closeRestored()``.
    public func closeRestored() { for (_, state) in states { state.closeRestored() } }

    /// The kind of a list may change; what it holds, and whether it is a list at all, may not.
    private func check(_ found: StateDescriptor, against wanted: StateDescriptor) throws {
        let lists: Set<StateKind> = [.split, .union, .keyedList]
        let isKind = found.kind == wanted.kind || lists.contains(found.kind) && lists.contains(wanted.kind)
        var differences = isKind ? [] : ["kind was \(found.kind.rawValue), is \(wanted.kind.rawValue)"]
        for (part, was, now) in [
            ("user key", found.userKey, wanted.userKey), ("element", found.value, wanted.value),
        ] where was != now {
            differences.append("\(part) was \(was?.description ?? "nothing"), is \(now?.description ?? "nothing")")
        }
        guard !differences.isEmpty else { return }
        throw ThalwegError(
            .job, "a state has other types than in the snapshot",
            detail:
                "operator \"\(seat.operatorName)\", state \"\(wanted.name)\": \(differences.joined(separator: "; "))",
            hint: "declare the state with the types it was stored with, or give it a new name to start without it")
    }
}
