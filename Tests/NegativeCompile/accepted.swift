// Accepted: what the refused files do wrong, done right.
import Thalweg

struct Row: Codable, Sendable { var id: Int64 }

struct Split: ProcessFunction {
    @Side var rejected = SideOutput(OutputTag<String>("rejected"))
    mutating func process(_ value: Row, _ context: ProcessContext, _ out: Collector<Row>) {
        rejected.emit("row \(value.id)")
    }
}

func build(_ env: StreamEnvironment) throws {
    let split = env.read(.elements([Row(id: 1)])).process(Split())
    let texts: DataStream<String> = try split.sideOutput(OutputTag<String>("rejected"))
    texts.write(to: .blackHole())
    try split.keyed(by: { $0.id }).reduce { first, _ in first }.write(to: .blackHole())
}
