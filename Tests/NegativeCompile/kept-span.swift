// Refused: Escapable
// A21.4: records that are only lent have no place to be kept in beyond the call.
import Thalweg

final class Kept: @unchecked Sendable {
    var batches: [Span<Int64>] = []
}

func build(_ stream: DataStream<Int64>, _ kept: Kept) -> DataStream<Int64> {
    stream.processBatches { records, out in
        kept.batches.append(records)
        out.emit(records[0])
    }
}
