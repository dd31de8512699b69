// SPDX-License-Identifier: Apache-2.0
//  What the user wrote: steps and the streams between them.

import ThalwegBase
import ThalwegOperator

/// What makes the operator of a node in one subtask.
public typealias OperatorFactory = @Sendable (OperatorContext) throws -> OperatorInstance

/// A step of the program.
public struct StreamNode: Sendable {
    /// The node's number in the graph, in order of declaration.
    public let id: Int
    /// Identity by meaning (D11): unique in the job, stable under changes elsewhere in the graph.
    public var name: String
    /// Whether the name was given a number, as an earlier step had it: then the step is known by its place.
    public var isNumbered = false
    /// Names that the step had in snapshots: what they hold under them is taken over.
    public var formerNames: [String] = []
    /// What was declared of earlier forms of the key; nil leaves it to the key's type.
    public var keyEvolution: KeyEvolution?
    /// `source`, `map`, `window`, `sink`...
    public let kind: String
    /// The number of subtasks; nil takes the job's.
    public var parallelism: Int?
    /// The most subtasks that make sense.
    public var parallelismMax: Int?
    public let inputs: [StreamEdge]
    /// The side outputs that the operator can emit to.
    public var outputs: [OutputDeclaration]
    /// Never chained to its inputs.
    public var startsChain = false
    /// Facts for the plan: window sizes, key types, state names.
    public var details: [String: String]
    public let factory: OperatorFactory
    /// For sources: makes the coordinator that owns the enumerator.
    public let makeCoordinator: (@Sendable (SourceCoordinatorSeat) throws -> any SourceCoordinating)?
    /// For sources and sinks, whose operators reach outside when they are made: declares the states.
    public let declareStates: StateDeclaring?
    /// For sources.
    public let boundedness: Boundedness?

    public init(
        id: Int, name: String, kind: String, parallelism: Int? = nil, parallelismMax: Int? = nil,
        inputs: [StreamEdge], outputs: [OutputDeclaration] = [], details: [String: String] = [:],
        boundedness: Boundedness? = nil, keyEvolution: KeyEvolution? = nil, declareStates: StateDeclaring? = nil,
        makeCoordinator: (@Sendable (SourceCoordinatorSeat) throws -> any SourceCoordinating)? = nil,
        factory: @escaping OperatorFactory
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.parallelism = parallelism
        self.parallelismMax = parallelismMax
        self.inputs = inputs
        self.outputs = outputs
        self.details = details
        self.boundedness = boundedness
        self.makeCoordinator = makeCoordinator
        self.keyEvolution = keyEvolution
        self.declareStates = declareStates
        self.factory = factory
    }
}

/// A stream between two steps.
public struct StreamEdge: Sendable {
    /// The node that emits.
    public let source: Int
    /// The side output it comes from; nil is the main output.
    public let tag: String?
    /// Which input of the consumer it feeds: 0, or 1 for the second of two.
    public let input: Int
    public let partitioning: Partitioning
    public let type: EdgeType
    /// A way to send less over an exchange, used when the edge leaves its task.
    public var combined: CombinedEdge?

    public init(source: Int, tag: String?, input: Int, partitioning: Partitioning, type: EdgeType) {
        self.source = source
        self.tag = tag
        self.input = input
        self.partitioning = partitioning
        self.type = type
    }
}

/// Another form of an edge: the producer combines records (FLIP-44) and the consumer takes the combination at an input
/// of its own.
public struct CombinedEdge: Sendable {
    /// The consumer's input for combinations.
    public let input: Int
    /// The type that crosses the exchange.
    public let type: EdgeType
    /// Makes the inlet for records from the inlet for combinations.
    public let combine: @Sendable (_ inlet: Any, _ capacity: Int) -> Any

    public init(input: Int, type: EdgeType, combine: @escaping @Sendable (_ inlet: Any, _ capacity: Int) -> Any) {
        self.input = input
        self.type = type
        self.combine = combine
    }
}

/// A program as a graph. Nodes are in topological order: inputs come before their consumers.
public struct StreamGraph: Sendable {
    public internal(set) var nodes: [StreamNode] = []

    public init() {}

    /// Adds a node and returns its number. A name already taken gets a number behind it (`map`, `map-2`).
    public mutating func add(_ make: (_ id: Int) -> StreamNode) -> Int {
        var node = make(nodes.count)
        var number = 2
        let base = node.name
        while nodes.contains(where: { $0.name == node.name }) {
            node.name = "\(base)-\(number)"
            node.isNumbered = true
            number += 1
        }
        nodes.append(node)
        return node.id
    }

    /// Changes a node (its name, parallelism, chaining).
    public mutating func update(_ id: Int, _ change: (inout StreamNode) -> Void) { change(&nodes[id]) }
}
