// SPDX-License-Identifier: Apache-2.0
//  The last snapshot of a task, taken while others are under way.

import Testing
import Thalweg
import ThalwegTesting

@Suite struct LastSnapshotTests {
    private struct Latest: KeyedProcessFunction {
        @State var last = ValueState<Int64>()

        mutating func process(_ value: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) {
            last.value = value < 0 ? nil : value
        }
    }

    private final class Counts: EntryWriter {
        private(set) var puts = 0
        func add(_ kind: EntryKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, rowBytes: Int) {
            if kind == .put { puts += 1 }
        }
    }

    private func keys(_ rows: RowSnapshot) throws -> Int {
        let counts = Counts()
        for part in rows.added.flatMap(\.parts) where part.descriptor.name == "last" { try part.write(to: counts) }
        return counts.puts
    }

    /// There is no next one: it holds what those under way have, and does not fail with them.
    @Test(arguments: [false, true]) func itBuildsOnNoneThatMayFail(_ isFirstUnderWay: Bool) throws {
        let leases = RunLeases()
        let harness = try OperatorHarness<Int64, Int64>(
            name: "latest", layering: RowLayering(root: "root", leases: leases)
        ) { context in
            OperatorInstance(
                try KeyedProcessOperator(Latest(), key: { abs($0) % 1000 }, onError: .fail, in: context), in: context)
        }
        func freeze(isFinal: Bool = false) throws -> (snapshot: OperatorSnapshot, rows: RowSnapshot) {
            let snapshot = try harness.freeze(isFinal: isFinal)
            return (snapshot, try #require(snapshot.rows.first))
        }
        try harness.push((0..<1000).map { ($0, nil) })
        let first = try freeze()
        if !isFirstUnderWay { for added in first.rows.added { added.layer.written(nil) } }
        try harness.push((0..<10).map { (1000 + $0, nil) })
        try harness.push((10..<15).map { (-$0, nil) })
        let second = try freeze()
        try harness.push((20..<23).map { (1000 + $0, nil) })
        let last = try freeze(isFinal: true)
        #expect(last.rows.base.map { $0 === first.rows.added.last?.layer } == (isFirstUnderWay ? [] : [true]))
        // All that is in memory if the first is under way too; else what has changed since.
        #expect(try keys(last.rows) == (isFirstUnderWay ? 995 : 13))
        // What becomes of the others does not matter.
        for (number, other) in [first, second].enumerated() {
            if number == 1 { for added in other.rows.added { added.layer.failed() } }
            for release in other.snapshot.releases { release() }
        }
        for layer in last.rows.base { _ = try layer.file() }
    }
}
