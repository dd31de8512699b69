// Refused: subscript is get-only
// A8.3: only processBroadcast can write broadcast state, by its context.
import Thalweg

struct Match: BroadcastProcessFunction {
    @State var rules = BroadcastState<String, String>()
    mutating func processElement(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {
        rules["rule"] = "changed"
    }
    mutating func processBroadcast(_ rule: String, _ context: BroadcastContext, _ out: Collector<Int64>) {
        context.update(rules) { $0[rule] = rule }
    }
}
