// Refused: cannot assign value of type 'DataStream<String>'
// A13.1: a side output is read with its tag's type.
import Thalweg

func build(_ stream: DataStream<Int64>) throws {
    let numbers: DataStream<Int64> = try stream.sideOutput(OutputTag<String>("rejected"))
    numbers.write(to: .blackHole())
}
