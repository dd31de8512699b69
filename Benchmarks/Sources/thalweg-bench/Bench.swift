import Glibc
import Thalweg

struct Item: Codable, Sendable { var key: Int64; var value: Int64; var time: Int64 }
func mix(_ n: Int64, _ keys: UInt64) -> Item {
    var z = UInt64(bitPattern: n) &* 0x9E3779B97F4A7C15 &+ 1
    z = (z ^ (z >> 30)) &* 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) &* 0x94D049BB133111EB
    z ^= z >> 31
    return Item(key: Int64((z >> 1) % 1_000_000), value: n, time: n / 100)
}
func cpu() -> Double {
    var t = timespec(); clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t)
    return Double(t.tv_sec) + Double(t.tv_nsec) / 1e9
}
@main struct Bench { static func main() async throws {
let n: Int64 = 20_000_000
for keys in [1_000_000] as [UInt64] {
  for name in ["source", "pass", "filter", "exchange"] {
    let env = StreamEnvironment()
    let s = env.read(GeneratedSource(0..<n) { mix($0, keys) })
    switch name {
    case "source": s.write(to: .blackHole())
    case "pass": s.map { $0 }.write(to: .blackHole())
    case "filter": s.filter { $0.value % 10 == 0 }.write(to: .blackHole())
    default: s.rebalance().map { $0 }.startNewChain().write(to: .blackHole())
    }
    let a = cpu()
    try await env.execute()
    let d = cpu() - a
    print(name, Double(n) / d / 1e6, "M/s")
  }
}
}}
