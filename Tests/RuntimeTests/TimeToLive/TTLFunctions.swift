// SPDX-License-Identifier: Apache-2.0
//  Functions whose state expires, for the tests.

import Thalweg

/// What a record asks of ``Memory``.
struct Note: Codable, Sendable {
    var key: Int
    var value: Int
    var reads = false
}

/// Keeps values of three kinds for each key, and tells what it sees when asked to.
struct Ledger: KeyedProcessFunction {
    static let lost = OutputTag<String>("lost")
    @State var last: ValueState<Int>
    @State var all: ListState<Int>
    @State var byValue: MapState<Int, Int>
    @Side var lost = SideOutput(Ledger.lost)
    private let writesOnRead: Bool

    init(_ ttl: StateTTL?, writesOnRead: Bool = false) {
        _last = State(wrappedValue: ValueState(ttl: ttl))
        _all = State(wrappedValue: ListState(ttl: ttl))
        _byValue = State(wrappedValue: MapState(ttl: ttl))
        self.writesOnRead = writesOnRead
        let lost = lost
        last.onExpired { (key: Int, value: Int) in lost.emit("last of \(key): \(value)") }
        all.onExpired { (key: Int, value: Int) in lost.emit("element of \(key): \(value)") }
        byValue.onExpired { (key: Int, id: Int, value: Int) in lost.emit("entry of \(key): \(id) \(value)") }
    }

    mutating func process(_ note: Note, _ context: KeyedContext<Int>, _ out: Collector<String>) {
        if note.reads {
            var entries: [Int] = []
            byValue.forEach { id, _ in entries.append(id) }
            out.emit("\(note.key): \(last.value.map(String.init) ?? "-") \(all.values) \(entries.sorted())")
            if !writesOnRead { return }
        }
        last.value = note.value
        all.append(note.value)
        byValue[note.value] = note.value
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int>, _ out: Collector<String>
    ) {
        out.emit("\(context.key) at \(time.milliseconds): \(last.value ?? -1)")
    }
}
