// SPDX-License-Identifier: Apache-2.0
//  How options of memory become parts: known vectors, errors that name their options.

import Testing
import ThalwegBase
import ThalwegControl

@Suite struct MemoryPlanTests {
    static let prefix = "taskmanager.memory."

    /// Options by the ends of their names: `process.size=4096m task.heap.size=1g`.
    static func configuration(_ text: String) throws -> MemoryConfiguration {
        var configuration = MemoryConfiguration()
        for assignment in text.split(separator: " ") {
            let parts = assignment.split(separator: "=").map(String.init)
            try configuration.set(prefix + parts[0], to: parts[1])
        }
        return configuration
    }

    static func failure(_ text: String, _ defaults: MemoryDefaults = .flink) -> ThalwegError? {
        do {
            _ = try MemoryPlan(configuration(text), defaults: defaults)
            return nil
        } catch { return error as? ThalwegError }
    }

    /// A size in MiB with two decimals, rounded.
    private static func text(_ bytes: Int) -> String {
        let hundredths = (bytes * 100 + 1 << 19) >> 20
        let decimals = hundredths % 100
        return "\(hundredths / 100)" + (decimals == 0 ? "" : "." + (decimals < 10 ? "0" : "") + "\(decimals)")
    }

    /// The vectors of FLIP-49, in MiB: process, total without overhead, task, managed, network, overhead.
    @Test(arguments: [
        ("process.size=1728m", "1728 1280 384 512 128 192"),
        ("flink.size=1280m", "1728 1280 384 512 128 192"),
        ("process.size=4096m", "4096 3430.40 1459.20 1372.16 343.04 409.60"),
        ("process.size=16384m", "16384 15104 7296 6041.60 1510.40 1024"),
        ("process.size=4096m task.heap.size=1024m", "4096 3430.40 1024 1372.16 778.24 409.60"),
        ("task.heap.size=1024m managed.size=1024m", "3128.89 2560 1024 1024 256 312.89"),
        ("flink.size=2048m managed.size=0", "2560 2048 1587.20 0 204.80 256"),
        ("flink.size=2048m task.heap.size=512m managed.size=1024m", "2560 2048 512 1024 256 256"),
        ("process.size=3000m flink.size=2304m", "3000 2304 896 921.60 230.40 440"),
    ])
    func vectors(_ options: String, _ expected: String) throws {
        let plan = try MemoryPlan(Self.configuration(options), defaults: .flink)
        let sizes = [
            plan.processBytes, plan.flinkBytes, plan.bytes(of: .task), plan.bytes(of: .managed),
            plan.bytes(of: .network), plan.bytes(of: .overhead),
        ]
        #expect(sizes.map(Self.text).joined(separator: " ") == expected)
        #expect(plan.bytes(of: .metaspace) == 256 << 20 && plan.bytes(of: .framework) == 128 << 20)
    }

    /// Each names the options that contradict each other, and what would do.
    @Test(arguments: [
        ("", ["process.size", "flink.size", "task.heap.size", "managed.size"], "three ways"),
        ("process.size=2048m flink.size=1700m", ["process.size", "flink.size", "jvm-overhead.min"], "92 MiB"),
        ("flink.size=512m", ["flink.size"], "524.8 MiB: framework 128 MiB"),
        ("process.size=300m", ["process.size"], "metaspace 256 MiB"),
        ("process.size=2g flink.size=2g", ["process.size", "flink.size"], "2304 MiB"),
        ("process.size=2g task.heap.size=2g managed.size=1g", ["process.size", "task.heap", "managed.size"], "2048"),
        ("flink.size=1g task.heap.size=900m", ["flink.size", "task.heap.size"], "1024 MiB is less than"),
        (
            "flink.size=1g task.heap.size=700m managed.size=60m", ["flink.size", "task.heap.size", "network.min"],
            "leave 8 MiB as network, below 64 MiB"
        ),
        (
            "flink.size=1g task.heap.size=300m managed.size=60m network.max=100m",
            ["flink.size", "task.heap.size", "managed.size", "network.max"], "above 100 MiB"
        ),
        ("process.size=4g network.min=2g network.max=1g", ["network.min", "network.max"], "is more than"),
        ("process.size=4g jvm-overhead.min=2g", ["jvm-overhead.min", "jvm-overhead.max"], "is more than"),
    ])
    func contradictions(_ options: String, _ names: [String], _ fact: String) throws {
        let error = try #require(Self.failure(options))
        #expect(error.kind == .job && error.hint != nil)
        for name in names { #expect(error.description.contains(Self.prefix + name), "\(error)") }
        #expect(error.description.contains(fact), "\(error)")
    }

    /// The size that an error names works, and one byte less does not.
    @Test(arguments: [
        ("process.size", "100m", "", MemoryDefaults.flink), ("flink.size", "512m", "", .flink),
        ("process.size", "1g", "flink.size=1g", .flink), ("process.size", "1m", "", .thalweg),
        ("process.size", "100m", "task.heap.size=1g network.min=100m", .thalweg),
        ("process.size", "64m", "managed.size=200m", .thalweg),
        ("process.size", "1g", "task.heap.size=1g managed.size=1g", .flink),
    ])
    func theSmallestSizeIsNamed(
        _ total: String, _ size: String, _ others: String, _ defaults: MemoryDefaults
    ) throws {
        let error = try #require(Self.failure("\(total)=\(size) \(others)", defaults))
        let hint = try #require(error.hint)
        let begin = "\(Self.prefix)\(total) must be at least "
        #expect(hint.hasPrefix(begin), "\(error)")
        let least = try #require(MemorySize(text: String(hint.dropFirst(begin.count).prefix { $0 != " " })))
        #expect(Self.failure("\(total)=\(least.bytes) \(others)", defaults) == nil)
        #expect(Self.failure("\(total)=\(least.bytes - 1) \(others)", defaults) != nil)
    }

    /// No total is large enough when the fractions leave nothing.
    @Test func noSizeIsNamedWhenNoneWorks() throws {
        let error = try #require(Self.failure("flink.size=1g managed.fraction=0.95"))
        #expect(error.hint?.contains("at least") == false)
    }

    @Test(arguments: ["64m", "256MiB", "1g"])
    func oneNumberIsEnough(_ memory: String) throws {
        let plan = try MemoryPlan(Self.configuration("process.size=\(memory)"))
        #expect(plan.processBytes == MemorySize(text: memory)?.bytes)
        #expect(plan.parts.allSatisfy { $0.bytes >= 0 && !$0.origin.isEmpty })
        #expect(plan.bytes(of: .metaspace) == 0)
    }

    @Test func thePlanSaysWhereFiguresComeFrom() throws {
        let plan = try MemoryPlan(Self.configuration("process.size=256m task.off-heap.size=8m"))
        #expect(
            plan.text == """
                part                      MiB      bytes  where it comes from
                framework                  16   16777216  default taskmanager.memory.framework.heap.size
                task                     91.2   95630132  what remains of the total without overhead
                task, off heap              8    8388608  given taskmanager.memory.task.off-heap.size
                managed                 92.16   96636764  0.4 of the total without overhead \
                (default taskmanager.memory.managed.fraction)
                network                 23.04   24159191  0.1 of the total without overhead \
                (default taskmanager.memory.network.fraction)
                overhead                 25.6   26843545  0.1 of the total process \
                (default taskmanager.memory.jvm-overhead.fraction)
                total without overhead  230.4  241591911  the sum of the parts above but metaspace and overhead
                total process             256  268435456  the sum of all parts

                """)
    }

    // MARK: Options

    @Test func oldNamesAreUnderstood() throws {
        var old = MemoryConfiguration()
        try old.set("taskmanager.heap.size", to: "1280m")
        #expect(old.warnings == ["taskmanager.heap.size is an old name: write taskmanager.memory.flink.size"])
        #expect(try MemoryPlan(old, defaults: .flink).processBytes == 1728 << 20)
        // Of both names the newer wins, in either order.
        var both = old
        try both.set("taskmanager.memory.flink.size", to: "2048m")
        var reversed = MemoryConfiguration()
        try reversed.set("taskmanager.memory.flink.size", to: "2048m")
        try reversed.set("taskmanager.heap.size", to: "1280m")
        for configuration in [both, reversed] {
            #expect(try MemoryPlan(configuration, defaults: .flink).flinkBytes == 2048 << 20)
            #expect(configuration.warnings.last?.contains("taskmanager.heap.size is ignored") == true)
        }
    }

    @Test(arguments: [
        ("managed.size", "12 parsecs"), ("managed.size", "-1m"), ("managed.size", "1025t"), ("managed.size", ""),
        ("managed.size", "1.5g"), ("managed.fraction", "1"), ("managed.fraction", "-0.1"), ("managed.fraction", "1e-1"),
        ("managed.fraction", "."), ("managed.fraction", ""), ("managed.fractions", "0.1"),
    ])
    func whatCannotBeReadIsRefused(_ name: String, _ value: String) {
        var configuration = MemoryConfiguration()
        #expect { try configuration.set(Self.prefix + name, to: value) } throws: { error in
            "\(error)".contains(Self.prefix + name) && (error as? ThalwegError)?.hint != nil
        }
    }

    @Test func sizesReadBack() throws {
        for text in ["0b", "1b", "1023b", "1k", "1536k", "64m", "3g", "1t", "1025m"] {
            #expect(try #require(MemorySize(text: text)).text == text)
        }
        for text in ["64m", "64 mb", "64MiB", "65536K", "67108864", "64 mebibytes"] {
            #expect(MemorySize(text: text)?.bytes == 64 << 20, "\(text)")
        }
        #expect(MemorySize(bytes: 409 << 20 | 629_145).description == "409.6 MiB")
        #expect(MemorySize(bytes: 1023).description == "1023 B" && MemorySize(bytes: 0).description == "0 MiB")
    }
}
