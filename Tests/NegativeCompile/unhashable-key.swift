// Refused: conform to 'Hashable'
// A key must be comparable and codable: it decides the subtask and rests in snapshots.
import Thalweg

struct Key: Codable, Sendable { var id: Int64 }

func build(_ stream: DataStream<Int64>) throws {
    _ = try stream.keyed(by: { Key(id: $0) })
}
