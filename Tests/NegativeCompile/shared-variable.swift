// Refused: captured var 'seen'
// A21.2: functions that run in several subtasks share no variable.
import Thalweg

func build(_ stream: DataStream<Int64>) -> DataStream<Int64> {
    var seen: Int64 = 0
    return stream.map { value in
        seen += value
        return seen
    }
}
