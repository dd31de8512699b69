// Refused: does not conform to the 'Sendable' protocol
// A21.2: an object that could be changed behind the engine's back is no record.
import Thalweg

final class Row {
    var id: Int64 = 0
}

func build(_ stream: DataStream<Int64>) -> DataStream<Row> {
    stream.map { _ in Row() }
}
