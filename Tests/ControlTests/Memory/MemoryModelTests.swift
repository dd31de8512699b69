// SPDX-License-Identifier: Apache-2.0
//  Random options of memory against the rules written down once more, in another way.

import Foundation
import Testing
import ThalwegBase
import ThalwegControl

@Suite struct MemoryModelTests {
    /// The options of one trial in bytes and thousandths.
    private struct Options {
        var sizes: [String: Int] = [:]
        var thousandths: [String: Int] = [:]

        func size(_ name: String, _ fallback: Int) -> Int { sizes[name] ?? fallback }
        func fraction(_ name: String, _ fallback: Int) -> Int { thousandths[name] ?? fallback }
    }

    /// The parts: framework, framework off heap, task, task off heap, managed, network, metaspace, overhead.
    private static func reference(_ options: Options) -> [Int]? {
        let mega = 1 << 20
        let network = (options.size("network.min", 64 * mega), options.size("network.max", 1 << 50))
        let overhead = (options.size("jvm-overhead.min", 192 * mega), options.size("jvm-overhead.max", 1024 * mega))
        guard network.0 <= network.1, overhead.0 <= overhead.1 else { return nil }
        let networkShare = options.fraction("network.fraction", 100)
        let overheadShare = options.fraction("jvm-overhead.fraction", 100)
        func clamp(_ value: Int, _ range: (Int, Int)) -> Int { min(max(value, range.0), range.1) }
        let fixed =
            options.size("framework.heap.size", 128 * mega) + options.size("framework.off-heap.size", 128 * mega)
            + options.size("task.off-heap.size", 0)
        let metaspace = options.size("jvm-metaspace.size", 256 * mega)
        let (heap, managedSize) = (options.sizes["task.heap.size"], options.sizes["managed.size"])
        let process = options.sizes["process.size"]
        var total = options.sizes["flink.size"]
        let isWhole = heap != nil && managedSize != nil
        if total == nil, !isWhole {
            guard let process else { return nil }
            total = process - clamp(process * overheadShare / 1000, overhead) - metaspace
            if let total, total < 0 { return nil }
        }
        let managed = managedSize ?? (total ?? 0) * options.fraction("managed.fraction", 400) / 1000
        let task: Int
        let exchange: Int
        if let heap {
            task = heap
            if let total {
                exchange = total - fixed - managed - heap
                if exchange < network.0 || exchange > network.1 { return nil }
            } else {
                exchange = clamp((fixed + managed + heap) * networkShare / (1000 - networkShare), network)
            }
        } else {
            exchange = clamp((total ?? 0) * networkShare / 1000, network)
            task = (total ?? 0) - fixed - managed - exchange
            if task < 0 { return nil }
        }
        let inner = fixed + managed + task + exchange
        let isDerived = options.sizes["flink.size"] == nil && !isWhole
        let rest: Int
        if let process {
            rest = process - inner - metaspace
            // A derived total has its overhead within limits already.
            if !isDerived, rest < overhead.0 || rest > overhead.1 { return nil }
        } else {
            rest = clamp((inner + metaspace) * overheadShare / (1000 - overheadShare), overhead)
        }
        return [
            options.size("framework.heap.size", 128 * mega), options.size("framework.off-heap.size", 128 * mega), task,
            options.size("task.off-heap.size", 0), managed, exchange, metaspace, rest,
        ]
    }

    private static func draw(_ random: inout SeededRandom) -> Options {
        var options = Options()
        // Rare enough that most configurations have a plan, frequent enough that all combinations occur.
        func give(_ name: String, oneIn: UInt64, megabytesMax: UInt64) {
            guard random.next() % oneIn == 0 else { return }
            let size = Int(random.next() % megabytesMax) << 20
            options.sizes[name] = random.next() % 4 == 0 ? size + Int(random.next() % (1 << 20)) : size
        }
        give("process.size", oneIn: 2, megabytesMax: 16_384)
        give("flink.size", oneIn: 2, megabytesMax: 12_000)
        give("task.heap.size", oneIn: 3, megabytesMax: 4096)
        give("managed.size", oneIn: 3, megabytesMax: 4096)
        for name in ["framework.heap.size", "framework.off-heap.size", "task.off-heap.size", "jvm-metaspace.size"] {
            give(name, oneIn: 4, megabytesMax: 600)
        }
        for name in ["network.min", "jvm-overhead.min"] { give(name, oneIn: 4, megabytesMax: 300) }
        for name in ["network.max", "jvm-overhead.max"] { give(name, oneIn: 4, megabytesMax: 4096) }
        for name in ["network.fraction", "managed.fraction", "jvm-overhead.fraction"] where random.next() % 4 == 0 {
            options.thousandths[name] = Int(random.next() % 1000)
        }
        return options
    }

    private static func text(thousandths: Int) -> String {
        "0." + String("\(thousandths + 1000)".dropFirst())
    }

    @Test func randomOptions() throws {
        var random = SeededRandom(seed: 49)
        var plans = 0
        let count = ProcessInfo.processInfo.environment["THALWEG_FULL"] == "1" ? 100_000 : 5000
        for _ in 0..<count {
            let options = Self.draw(&random)
            var configuration = MemoryConfiguration()
            for (name, size) in options.sizes { try configuration.set("taskmanager.memory.\(name)", to: "\(size)") }
            for (name, share) in options.thousandths {
                try configuration.set("taskmanager.memory.\(name)", to: Self.text(thousandths: share))
            }
            let expected = Self.reference(options)
            do {
                let plan = try MemoryPlan(configuration, defaults: .flink)
                plans += 1
                let parts = MemoryPlan.Use.allCases.map { plan.bytes(of: $0) }
                guard parts == expected else {
                    Issue.record("\(options): \(parts) in place of \(String(describing: expected))")
                    return
                }
                if let process = options.sizes["process.size"] { #expect(plan.processBytes == process) }
                if let total = options.sizes["flink.size"] { #expect(plan.flinkBytes == total) }
            } catch {
                guard expected == nil, error.description.contains("taskmanager.memory.") else {
                    Issue.record("\(options): \(error)")
                    return
                }
            }
        }
        #expect(plans > count / 10, "\(plans)")
    }
}
