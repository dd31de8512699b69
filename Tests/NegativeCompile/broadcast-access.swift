// Refused: value of type 'ProcessContext' has no member 'update'
// A8.3: the context of the other side has no right to write.
import Thalweg

struct Match: BroadcastProcessFunction {
    @State var rules = BroadcastState<String, String>()
    mutating func processElement(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {
        context.update(rules) { $0["rule"] = "changed" }
    }
    mutating func processBroadcast(_ rule: String, _ context: BroadcastContext, _ out: Collector<Int64>) {}
}
