// SPDX-License-Identifier: Apache-2.0
//  A state as a step of a job declares it, to be compared with what a snapshot has.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// What a step wants of a snapshot: one of its states with its types, and what is declared of their earlier forms.
public struct WantedState: Sendable {
    public var descriptor: StateDescriptor
    /// Names that the state had.
    public var formerNames: [String] = []
    public var key = DeclaredEvolution()
    public var userKey = DeclaredEvolution()
    public var value = DeclaredEvolution()

    public init(_ descriptor: StateDescriptor) { self.descriptor = descriptor }

    /// A state without keys whose elements are of a type.
    public init<Element: Codable & Sendable>(
        _ name: String, kind: StateKind, elements _: Element.Type
    ) throws(ThalwegError) {
        let type = try RecordType<Element>.learn()
        self.init(StateDescriptor(operatorName: "", name: name, kind: kind, value: type.schema))
        value = try type.evolution
    }

    /// How far event time had come: says nothing without the state that it belongs to.
    public static let timeName = "$time"
}

/// What a `@State` property says of earlier forms of its state.
public struct StatePast: Sendable {
    private let formerName: String?
    private let apply: @Sendable (inout WantedState) throws(ThalwegError) -> Void

    public init(formerName: String? = nil) {
        self.formerName = formerName
        apply = { _ throws(ThalwegError) in }
    }

    init<Value>(formerName: String?, evolution: Evolution<Value>) {
        self.formerName = formerName
        apply = { state throws(ThalwegError) in
            let schema = try RecordType<Value>.learn().schema
            guard schema == state.descriptor.value else {
                throw ThalwegError(
                    .job, "an evolution is declared for another type than the state's",
                    detail: "state \"\(state.descriptor.name)\" of \"\(state.descriptor.operatorName)\" holds "
                        + "\(state.descriptor.value?.description ?? "nothing"), not \(schema)",
                    hint: "make it an Evolution of the type of the state's values or elements")
            }
            state.value = try state.value.replacingRoot(with: evolution)
        }
    }

    /// Adds what is said to what is wanted.
    public func complete(_ state: inout WantedState) throws(ThalwegError) {
        if let formerName { state.formerNames.append(formerName) }
        try apply(&state)
    }
}

/// The states that one step declares, gathered without running it.
///
/// Whatever an operator freezes into snapshots it declares here: a snapshot's state that nothing declares is refused.
public struct StateDeclarations: Sendable {
    public let operatorName: String
    public private(set) var states: [WantedState] = []
    /// The schema of the keys, when the step is keyed.
    public private(set) var key: RecordSchema?
    /// What was declared of earlier forms of the key where the stream was keyed; nil leaves it to the key's type.
    private let keyEvolution: DeclaredEvolution?

    public init(operatorName: String, keyEvolution: DeclaredEvolution? = nil) {
        self.operatorName = operatorName
        self.keyEvolution = keyEvolution
    }

    /// Adds a state; its operator's name is filled in.
    public mutating func add(_ state: WantedState) {
        var state = state
        state.descriptor.operatorName = operatorName
        states.append(state)
    }

    /// Adds a keyed state; its key is filled in.
    public mutating func add<Key>(_ state: WantedState, keyedBy type: RecordType<Key>) throws(ThalwegError) {
        var state = state
        state.descriptor.key = type.schema
        if let keyEvolution { state.key = keyEvolution } else { state.key = try type.evolution }
        key = type.schema
        add(state)
    }

    /// Changes the states of a name.
    public mutating func update(_ name: String, _ change: (inout WantedState) throws(ThalwegError) -> Void)
        throws(ThalwegError)
    {
        for index in states.indices where states[index].descriptor.name == name { try change(&states[index]) }
    }
}
