// Refused: cannot convert value of type 'Int' to expected argument type 'String'
// A13.1: a side output takes values of its tag's type only.
import Thalweg

struct Split: ProcessFunction {
    @Side var rejected = SideOutput(OutputTag<String>("rejected"))
    mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {
        rejected.emit(17)
    }
}
