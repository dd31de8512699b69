// SPDX-License-Identifier: Apache-2.0
//  Snapshots put together byte by byte, in memory.

import ThalwegSavepoint

/// A directory `snap` with metadata that nobody has checked, and the files it may speak of.
enum ForgedSnapshot {
    static let path = "snap"
    static let operatorName = "op"

    /// A file of the snapshot as its metadata lists it.
    struct File {
        var name: String
        var bytes: [UInt8]
        var sequence = 0
        var keyGroups: Range<Int>?
        /// What the metadata says; nil for what it is.
        var entries = 0
    }

    static func disk(_ files: [File], metadata: [UInt8]) -> MemoryFileSystem {
        let disk = MemoryFileSystem()
        for file in files { disk["\(path)/\(file.name)"] = file.bytes }
        disk["\(path)/_metadata"] = sealed(metadata)
        return disk
    }

    /// With the last line that says that all before it is whole.
    static func sealed(_ text: [UInt8]) -> [UInt8] {
        let body = text + [UInt8(ascii: "\n")]
        return body + Array("xxh3 \(checksum(of: body))\n".utf8)
    }

    static func metadata(_ files: [File], maxParallelism: Int = 128) -> [UInt8] {
        let listed = files.map { file in
            let keyGroups = file.keyGroups.map { ",\"keyGroups\":[\($0.lowerBound),\($0.upperBound)]" } ?? ""
            let sequence = file.sequence > 0 ? ",\"sequence\":\(file.sequence)" : ""
            return "{\"path\":\"chk-1/\(file.name)\",\"byteCount\":\(file.bytes.count),"
                + "\"checksum\":\"\(checksum(of: file.bytes))\",\"entries\":\(file.entries),"
                + "\"operators\":[\"\(operatorName)\"],\"subtask\":0\(sequence)\(keyGroups)}"
        }
        let text =
            "{\"formatVersion\":2,\"checkpoint\":1,\"kind\":\"savepoint\",\"timeMilliseconds\":5,\"jobName\":\"job\","
            + "\"maxParallelism\":\(maxParallelism),"
            + "\"operators\":[{\"name\":\"\(operatorName)\",\"parallelism\":2}],"
            + "\"files\":[\(listed.joined(separator: ","))],\"properties\":{}}"
        return Array(text.utf8)
    }

    /// As metadata has it.
    static func checksum(of bytes: [UInt8]) -> String {
        let digits = String(SegmentFormat.checksum(of: bytes), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Looks at all that a snapshot holds, in every way that tools do. Damage is what may be found.
    static func look(at disk: MemoryFileSystem) throws {
        let reader = try SavepointReader(path, fileSystem: disk)
        _ = reader.properties
        _ = found { try reader.verify() }
        for known in reader.operators {
            for state in known.states { attempt { try look(at: state.name, of: known.name, reader) } }
        }
        attempt { _ = try reader.differences(to: reader) }
        attempt { try SavepointWriter(reader).write(to: "copy") }
        attempt {
            var writer = SavepointWriter(reader)
            try writer.reshard(maxParallelism: 256)
            try writer.write(to: "wide")
        }
    }

    private static func look(at name: String, of operatorName: String, _ reader: SavepointReader) throws {
        _ = found { try reader.count(of: name, in: operatorName) }
        var keys: [DynamicValue] = []
        attempt {
            let entries = try reader.entries(of: name, in: operatorName)
            var left = 1000
            while left > 0, let entry = try entries.next() {
                left -= 1
                if keys.count < 3, let key = entry.key { keys.append(key) }
                let record = entry.record
                _ = record.json
                if let schema = try reader.valueSchema(of: name, in: operatorName), let value = entry.value {
                    attempt { _ = try DynamicValue(json: value.json, schema) }
                }
            }
        }
        for key in keys {
            attempt { _ = try reader.entries(of: name, in: operatorName, where: .key(key)).next() }
            attempt {
                let entries = try reader.entries(of: name, in: operatorName, where: .keys(from: key, to: nil))
                for _ in 0..<10 { guard try entries.next() != nil else { break } }
            }
        }
        attempt { _ = try reader.entries(of: name, in: operatorName, where: .keyGroups(0..<3)).next() }
    }

    /// Runs what may find damage; whether it did not.
    @discardableResult
    static func attempt(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return true
        } catch let error as ThalwegError where error.kind != .bug {
            return false
        } catch {
            stop(at: error)
        }
    }

    /// What is found, unless damage is.
    static func found<Result>(_ body: () throws -> Result) -> Result? {
        var result: Result?
        attempt { result = try body() }
        return result
    }
}
