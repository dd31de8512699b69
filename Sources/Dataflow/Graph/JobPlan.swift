// SPDX-License-Identifier: Apache-2.0
//  A job as something to look at: text, JSON, DOT.

import ThalwegBase
import ThalwegOperator

/// What a job consists of and how it will run, as data.
public struct JobPlan: Codable, Sendable, Hashable {
    /// A step.
    public struct Step: Codable, Sendable, Hashable {
        public var id: Int
        public var name: String
        public var kind: String
        public var task: Int
        public var inputs: [Input]
        public var outputs: [String]
        public var details: [String: String]
    }

    /// A stream into a step.
    public struct Input: Codable, Sendable, Hashable {
        public var from: Int
        public var sideOutput: String?
        public var partitioning: String
        public var type: String
        /// Whether records stay within the task.
        public var isChained: Bool
    }

    /// A chain of steps that share tasks.
    public struct Task: Codable, Sendable, Hashable {
        public var id: Int
        public var parallelism: Int
        public var steps: [Int]
    }

    public var steps: [Step]
    public var tasks: [Task]
    public var maxParallelism: Int

    public init(_ graph: JobGraph) {
        steps = graph.streamGraph.nodes.map { node in
            Step(
                id: node.id, name: node.name, kind: node.kind, task: graph.vertexOf[node.id],
                inputs: node.inputs.map { edge in
                    Input(
                        from: edge.source, sideOutput: edge.tag,
                        partitioning: graph.partitioning(of: edge, into: node.id).rawValue, type: edge.type.name,
                        isChained: graph.isChained(edge, into: node.id))
                }, outputs: node.outputs.map(\.id), details: node.details)
        }
        tasks = graph.vertices.map { Task(id: $0.id, parallelism: $0.parallelism, steps: $0.nodes) }
        maxParallelism = graph.maxParallelism
    }

    /// The plan as indented text, a task at a time.
    public var text: String {
        var text = ""
        for task in tasks {
            text += "task \(task.id)  parallelism \(task.parallelism)\n"
            for id in task.steps {
                let step = steps[id]
                text += "  [\(step.id)] \(step.name) (\(step.kind))\n"
                for input in step.inputs {
                    let side = input.sideOutput.map { " side output \"\($0)\"" } ?? ""
                    let way = input.isChained ? "chained" : input.partitioning
                    text += "      from [\(input.from)] \(steps[input.from].name)\(side): \(input.type), \(way)\n"
                }
                for (key, value) in step.details.sorted(by: { $0.key < $1.key }) where !value.isEmpty {
                    text += "      \(key): \(value)\n"
                }
                if !step.outputs.isEmpty { text += "      side outputs: \(step.outputs.joined(separator: ", "))\n" }
            }
        }
        return text
    }

    /// The plan as a Graphviz graph, a cluster per task.
    public var dot: String {
        func quoted(_ text: String) -> String {
            "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
        }
        var text = "digraph job {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n"
        for task in tasks {
            text += "  subgraph cluster_\(task.id) {\n    label=\(quoted("task \(task.id) x \(task.parallelism)"));\n"
            for id in task.steps { text += "    n\(id) [label=\(quoted(steps[id].name))];\n" }
            text += "  }\n"
        }
        for step in steps {
            for input in step.inputs {
                let label = [input.sideOutput, input.isChained ? nil : input.partitioning].compactMap { $0 }
                text += "  n\(input.from) -> n\(step.id) [label=\(quoted(label.joined(separator: ", ")))];\n"
            }
        }
        return text + "}\n"
    }
}
