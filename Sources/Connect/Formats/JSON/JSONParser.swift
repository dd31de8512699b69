// SPDX-License-Identifier: Apache-2.0
//  Lines of JSON into cells.

import CSimdjson
import ThalwegBase
import ThalwegData

/// Fills the cells of a field tree from lines of a block, with simdjson beneath.
///
/// A line must be one JSON value. Fields that the tree does not have are skipped; of these only the bracket structure
/// is checked. Of duplicate keys the last wins. Bytes must be UTF-8.
final class JSONParser {
    private let parser: OpaquePointer
    let tree: CellTree
    /// The cells of the line parsed last; strings and arrays point into the block or the parser.
    let cells: UnsafeMutablePointer<Cell>
    private var block: UnsafePointer<UInt8>?
    /// When the block as a whole has no valid structure, each line is loaded on its own.
    private var isLineByLine = false

    init(tree: CellTree, limits: ReadLimits) throws(ThalwegError) {
        assert(MemoryLayout<Cell>.stride == MemoryLayout<thalweg_json_cell>.stride)
        assert(ByteWindow.paddingBytes >= Int(THALWEG_JSON_PADDING))
        let made = tree.withCNodes { nodes in
            thalweg_json_create(
                nodes.baseAddress, nodes.count, UInt32(limits.jsonDepthMax), limits.jsonArrayCellsMax)
        }
        guard let made else { throw Self.noMemory() }
        parser = made
        self.tree = tree
        cells = .allocate(capacity: tree.width)
        cells.initialize(repeating: Cell(.missing), count: tree.width)
    }

    deinit {
        thalweg_json_destroy(parser)
        cells.deallocate()
    }

    /// Takes a block of whole lines, which stays where it is until its last line is parsed.
    func load(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) {
        block = bytes.bindMemory(to: UInt8.self).baseAddress
        let code = thalweg_json_load(parser, block, bytes.count)
        if code == THALWEG_JSON_NO_MEMORY { throw Self.noMemory() }
        isLineByLine = code != THALWEG_JSON_OK
    }

    /// Parses the line at an offset of the block. Lines are asked for in order.
    @inline(__always)
    func parse(at start: Int, count: Int) -> thalweg_json_code {
        let room = UnsafeMutableRawPointer(cells).assumingMemoryBound(to: thalweg_json_cell.self)
        if isLineByLine { return parseAlone(at: start, count: count, room) }
        return thalweg_json_parse_line(parser, start, start + count, room)
    }

    private func parseAlone(
        at start: Int, count: Int, _ room: UnsafeMutablePointer<thalweg_json_cell>
    ) -> thalweg_json_code {
        guard let block else { return THALWEG_JSON_BLANK }
        let code = thalweg_json_load(parser, block + start, count)
        if code != THALWEG_JSON_OK { return code }
        return thalweg_json_parse_line(parser, 0, count, room)
    }

    /// Where in the line at `start` the last parse failed, and in which field.
    func failure(at start: Int, _ code: thalweg_json_code) -> (column: Int?, field: String?) {
        // What the first stage refuses has no known place.
        if code.rawValue >= THALWEG_JSON_UNCLOSED_STRING.rawValue && isLineByLine { return (nil, nil) }
        let place = thalweg_json_last_place(parser)
        let column = max(isLineByLine ? Int(place.offset) : Int(place.offset) - start, 0)
        return (column, place.node == UInt32.max ? nil : tree.fieldPath(to: Int(place.node)))
    }

    private static func noMemory() -> ThalwegError {
        ThalwegError(.task, "no memory for the JSON parser", hint: "lower blockBytes or lineBytesMax")
    }
}

extension thalweg_json_code {
    /// What is wrong, and how to fix it.
    var texts: (reason: String, hint: String) {
        switch self {
        case THALWEG_JSON_TRUNCATED:
            ("JSON ends too early", "each line must hold one whole JSON value: look for a line break inside a value")
        case THALWEG_JSON_EXPECTED_KEY: ("expected a key in quotation marks", Self.checkHint)
        case THALWEG_JSON_EXPECTED_COLON: ("expected `:` after a key", Self.checkHint)
        case THALWEG_JSON_EXPECTED_COMMA: ("expected `,` or a closing bracket after a value", Self.checkHint)
        case THALWEG_JSON_EXPECTED_VALUE: ("expected a value", Self.checkHint)
        case THALWEG_JSON_BAD_LITERAL: ("not a JSON value", "write strings in quotation marks, and true, false or null")
        case THALWEG_JSON_BAD_NUMBER:
            ("not a JSON number", "write numbers as in 12, -3.5 or 1e9, without leading zeros")
        case THALWEG_JSON_NUMBER_RANGE: ("number is too large", "write it as a string, or drop the field")
        case THALWEG_JSON_BAD_ESCAPE: ("bad escape in a string", "after `\\` JSON has only \" \\ / b f n r t and uXXXX")
        case THALWEG_JSON_TOO_DEEP: ("nested too deep", "raise jsonDepthMax, or flatten the data")
        case THALWEG_JSON_TRAILING: ("more than one JSON value in a line", "put each value on a line of its own")
        case THALWEG_JSON_TOO_MANY_CELLS: ("arrays are too long", "raise jsonArrayCellsMax, or split the record")
        case THALWEG_JSON_MISMATCHED_BRACKET: ("closing bracket of the other kind", Self.checkHint)
        case THALWEG_JSON_UNCLOSED_STRING: ("a string is not closed", Self.checkHint)
        case THALWEG_JSON_CONTROL_CHARACTER:
            ("a string holds a control character", "escape it, as in \\n or \\u0000")
        case THALWEG_JSON_INVALID_UTF8: ("not valid UTF-8", "convert the file to UTF-8")
        case THALWEG_JSON_NO_MEMORY: ("no memory to parse this line", "lower lineBytesMax")
        default: ("not JSON", Self.checkHint)
        }
    }

    private static var checkHint: String { "check the line with a JSON validator, such as `jq`" }
}
