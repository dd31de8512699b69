// SPDX-License-Identifier: Apache-2.0
//  What the memory of a process is for, part by part (FLIP-49).

import ThalwegBase

/// How the memory of a process is divided: the result of a pure function of its options.
///
/// - Guarantees: ``processBytes`` is the sum of all parts, ``flinkBytes`` that of all but metaspace and overhead; the
///   same options give the same plan everywhere.
/// - Not promised: that a part which is not enforced stays within its size.
public struct MemoryPlan: Sendable, Hashable, Codable {
    /// What a part of the memory is for.
    public enum Use: String, Sendable, Hashable, Codable, CaseIterable {
        /// The engine itself: code, tables of tasks, metrics.
        case framework
        case frameworkOffHeap = "framework, off heap"
        /// Records under way and what user functions keep.
        case task
        case taskOffHeap = "task, off heap"
        /// What is reserved before it is used, by owner: see `ManagedMemory`.
        case managed
        /// Batches in the channels between tasks.
        case network
        /// Classes of a virtual machine; nothing here unless it is given.
        case metaspace
        /// Stacks, tables of pages, what the allocator holds back.
        case overhead
    }

    /// One part, with where its size comes from.
    public struct Part: Sendable, Hashable, Codable {
        public var use: Use
        public var bytes: Int
        /// The option or the rule that gave the size.
        public var origin: String
    }

    /// All parts, in the order of ``Use``.
    public var parts: [Part]
    /// What people should know about the options.
    public var notes: [String]

    /// Divides memory as the options say.
    ///
    /// Exactly one way in is taken: task memory and managed memory, else the total without overhead, else the total of
    /// the process.
    ///
    /// - Throws: `ThalwegError(.job)` when options are missing or contradict each other: it names the options, and the
    ///   smallest total that would do when there is one.
    public init(
        _ configuration: MemoryConfiguration, defaults: MemoryDefaults = .thalweg
    ) throws(ThalwegError) {
        do {
            self = try MemoryDerivation(configuration, defaults).plan()
        } catch {
            var hint = error.hint
            if let total = error.tooSmall,
                let least = MemoryDerivation.smallest(total, in: configuration, defaults)
            {
                hint =
                    "\(total.rawValue) must be at least \(MemorySize(bytes: least).text) "
                    + "(\(MemorySize(bytes: least))) with the other options as they are; or: \(hint)"
            }
            throw ThalwegError(.job, error.primary, detail: error.detail, hint: hint)
        }
    }

    init(parts: [Part], notes: [String]) {
        self.parts = parts
        self.notes = notes
    }

    /// The size of a part.
    public func bytes(of use: Use) -> Int { parts.first { $0.use == use }?.bytes ?? 0 }

    /// The whole process.
    public var processBytes: Int { parts.reduce(0) { $0 + $1.bytes } }

    /// All but metaspace and overhead.
    public var flinkBytes: Int { processBytes - bytes(of: .metaspace) - bytes(of: .overhead) }

    /// The plan as a table for people: parts, sums, and where each figure comes from.
    public var text: String {
        var rows = [("part", "MiB", "bytes", "where it comes from")]
        func add(_ name: String, _ bytes: Int, _ origin: String) {
            rows.append((name, "\(MemorySize(bytes: bytes))".replacing(" MiB", ""), "\(bytes)", origin))
        }
        for part in parts where part.bytes > 0 || part.origin.hasPrefix("given") {
            add(part.use.rawValue, part.bytes, part.origin)
        }
        add("total without overhead", flinkBytes, "the sum of the parts above but metaspace and overhead")
        add("total process", processBytes, "the sum of all parts")
        let widths = rows.reduce((0, 0, 0)) { (max($0.0, $1.0.count), max($0.1, $1.1.count), max($0.2, $1.2.count)) }
        func pad(_ count: Int) -> String { String(repeating: " ", count: count) }
        let lines = rows.map { row in
            "\(row.0)\(pad(widths.0 - row.0.count))  \(pad(widths.1 - row.1.count))\(row.1)"
                + "  \(pad(widths.2 - row.2.count))\(row.2)  \(row.3)\n"
        }
        return lines.joined() + notes.map { "note: \($0)\n" }.joined()
    }
}

extension String {
    /// The text without a part of it at its end.
    fileprivate func replacing(_ end: String, _ replacement: String) -> String {
        hasSuffix(end) ? dropLast(end.count) + replacement : self
    }
}
