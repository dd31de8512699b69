// SPDX-License-Identifier: Apache-2.0
//  What the files of a sink are called.

/// The place of a sink, and the names of the files in it.
///
/// A finished part is `part-<checkpoint>-<subtask>-<number>.<extension>`: checkpoints rise over restarts, so names
/// never collide and sort in the order of the checkpoints that made the parts visible. An unfinished one is called
/// `.part-<epoch>-<subtask>-<number>.<extension>.inprogress` after the checkpoint before it was begun: a snapshot never
/// knows a file of its own epoch, which is how files that nobody knows are told from those that wait.
struct FilePlace: Sendable, Hashable {
    let path: String
    let fileExtension: String

    static let suffix = ".inprogress"

    var isDirectory: Bool { path.hasSuffix("/") }

    /// The directory of a partition, with `/` at its end; empty for the directory where relative paths begin.
    func directory(of partition: String) -> String {
        if isDirectory { return partition.isEmpty ? path : path + partition + "/" }
        return path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    }

    /// The only file of a sink that is no directory, while it is unfinished.
    var unfinishedSingle: String {
        let directory = directory(of: "")
        return directory + "." + path.dropFirst(directory.count) + Self.suffix
    }

    /// A part of a job that neither rolls nor restarts.
    func plain(subtask: Int) -> String { "part-\(subtask).\(fileExtension)" }

    func part(checkpoint: Int64, subtask: Int, number: Int) -> String {
        let name = [Self.padded(checkpoint, 10), Self.padded(Int64(subtask), 3), Self.padded(Int64(number), 4)]
        return "part-\(name.joined(separator: "-")).\(fileExtension)"
    }

    static func unfinished(_ name: String) -> String { "." + name + suffix }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Whose unfinished part a name is, and after which checkpoint it was begun; nil for other names.
    func owner(ofUnfinished name: String) -> (epoch: Int64, subtask: Int)? {
        let ending = ".\(fileExtension)\(Self.suffix)"
        guard name.hasPrefix(".part-"), name.hasSuffix(ending) else { return nil }
        let numbers = name.dropFirst(".part-".count).dropLast(ending.count).split(
            separator: "-", omittingEmptySubsequences: false)
        let values = numbers.compactMap { Int64($0) }
        guard values.count == numbers.count, values.allSatisfy({ $0 >= 0 }) else { return nil }
        switch values.count {
        case 1: return (0, Int(values[0]))
        case 3: return (values[0], Int(values[1]))
        default: return nil
        }
    }

    /// The checkpoint that a finished part appeared with, 0 for one of a job without checkpoints; nil for other names.
    func checkpoint(ofPart name: String) -> Int64? {
        guard name.hasPrefix("part-") else { return nil }
        return owner(ofUnfinished: Self.unfinished(name))?.epoch
    }

    /// Whether a partition's name can be a relative path of directories that readers do not pass over.
    static func isValid(partition: String) -> Bool {
        partition.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { component in
            let isHidden = component.hasPrefix(".") || component.hasPrefix("_")
            return !component.isEmpty && !isHidden && component.utf8.count <= nameBytesMax
                && !component.utf8.contains(0)
        }
    }

    /// The longest name of a directory that file systems take.
    static let nameBytesMax = 255
}
