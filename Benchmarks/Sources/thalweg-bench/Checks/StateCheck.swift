// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check state`: what single accesses to keyed state cost (50.d4 in memory).

import ArgumentParser
import Thalweg

/// Measures a sorted map of one key against a map without order, and folds against a value. Fails when a sorted map is
/// slower than its limits.
struct StateCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "state", abstract: "Measure accesses to sorted maps and folds.")

    @Option(help: "Entries in the map.") var entries = 1_000_000

    func validate() throws {
        guard entries >= 10_000 else { throw ValidationError("--entries must be at least 10000, not \(entries)") }
    }

    func run() throws {
        let keys = (0..<Int64(entries)).map { Item($0, keys: .max).key }
        let verdicts = try sorted(keys) + unordered(keys) + folds()
        if verdicts.contains(false) { throw ExitCode.failure }
    }

    /// A store with one key, which is the current one.
    private func bind(_ state: some BindableState) throws -> KeyedStore<Int64> {
        let store = try KeyedStore<Int64>(.learn())
        try state.bind("state", to: store)
        var slots: [Int32] = [0]
        store.resolve([1], hashes: [store.hasher.hash(1)], count: 1, into: &slots)
        store.slot = Int(slots[0])
        return store
    }

    /// Prints what one of `count` operations takes and whether that is within a limit.
    private func measure(_ text: String, _ count: Int, limit: Double = .infinity, _ body: () -> Void) -> Bool {
        let before = ProcessUsage()
        body()
        let nanoseconds = (ProcessUsage().cpuSeconds - before.cpuSeconds) * 1e9 / Double(count)
        let verdict = limit == .infinity ? "      " : nanoseconds <= limit ? "holds " : "MISSED"
        print("50.d4  \(verdict)  \(text): \(Int(nanoseconds)) ns")
        return nanoseconds <= limit
    }

    private func sorted(_ keys: [Int64]) throws -> [Bool] {
        let map = SortedMapState<Int64, Int64>()
        let store = try bind(map)
        defer { withExtendedLifetime(store) {} }
        let starts = stride(from: 0, to: keys.count, by: keys.count / 100).map { keys[$0] }
        var sum: Int64 = 0
        var verdicts = [
            measure("sorted map, new entry in random order", keys.count, limit: 2000) {
                for key in keys { map[key] = key }
            },
            measure("sorted map, get", keys.count, limit: 2000) { for key in keys { sum &+= map[key] ?? 0 } },
            measure("sorted map, change in place", keys.count, limit: 2000) {
                for key in keys { map[key, default: 0] &+= 1 }
            },
            measure("sorted map, range of 1,000 entries", starts.count, limit: 5_000_000) {
                for start in starts { for (_, value) in map.entries(from: start).prefix(1000) { sum &+= value } }
            },
            measure("sorted map, an entry in a full walk", keys.count) {
                for (_, value) in map.entries { sum &+= value }
            },
        ]
        let parts = store.freeze(operatorName: "bench", maxParallelism: 128)
        store.select(store.slot)
        verdicts.append(
            measure("sorted map, change in place after a barrier", keys.count) {
                for key in keys { map[key, default: 0] &+= 1 }
            })
        withExtendedLifetime(parts) {}
        store.release()
        verdicts.append(
            measure("sorted map, remove", keys.count, limit: 2000) { for key in keys { map[key] = nil } })
        let times = SortedMapState<EventTime, Int64>()
        let timeStore = try bind(times)
        verdicts.append(
            measure("sorted map, add at the end, take from the front", keys.count, limit: 2000) {
                for number in 0..<Int64(keys.count) {
                    times[EventTime(milliseconds: number)] = number
                    if number >= 1000, let first = times.popFirst() { sum &+= first.value }
                }
            })
        withExtendedLifetime(timeStore) {}
        if sum == 0 { print("nothing was read") }
        return verdicts
    }

    private func unordered(_ keys: [Int64]) throws -> [Bool] {
        let map = MapState<Int64, Int64>()
        let store = try bind(map)
        defer { withExtendedLifetime(store) {} }
        var sum: Int64 = 0
        let verdicts = [
            measure("map, new entry", keys.count) { for key in keys { map[key] = key } },
            measure("map, get", keys.count) { for key in keys { sum &+= map[key] ?? 0 } },
            measure("map, change in place", keys.count) { for key in keys { map[key, default: 0] &+= 1 } },
        ]
        if sum == 0 { print("nothing was read") }
        return verdicts
    }

    private func folds() throws -> [Bool] {
        let (value, reducing) = (ValueState<Int64>(), ReducingState<Int64> { $0 &+ $1 })
        let counting = AggregatingState(Count<Int64>())
        let stores = (try bind(value), try bind(reducing), try bind(counting))
        defer { withExtendedLifetime(stores) {} }
        let count = 20_000_000
        let verdicts = [
            measure("value, added to in place", count) {
                for number in 0..<Int64(count) { value[default: 0] &+= number }
            },
            measure("reducing state, add", count) { for number in 0..<Int64(count) { reducing.add(number) } },
            measure("aggregating state, add", count) { for number in 0..<Int64(count) { counting.add(number) } },
        ]
        print(
            "       \(value.value == reducing.value && counting.value == Int64(count) ? "equal" : "NOT EQUAL") results")
        return verdicts
    }
}
