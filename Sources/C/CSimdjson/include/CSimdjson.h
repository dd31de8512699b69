// SPDX-License-Identifier: Apache-2.0
// JSON lines into cells: simdjson finds the structure of a block of lines, a walk over it fills one cell per field.
#ifndef CSIMDJSON_H
#define CSIMDJSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Bytes that must be readable after a block (their value does not matter, except that the first is no digit).
#define THALWEG_JSON_PADDING 128

/// The memory layout of `Cell` in ThalwegData; kinds are its raw values.
typedef struct {
    uint64_t bits;
    uint32_t length;
    uint8_t kind;
} thalweg_json_cell;

enum {
    THALWEG_CELL_MISSING = 0,
    THALWEG_CELL_NULL = 1,
    THALWEG_CELL_BOOL = 2,
    THALWEG_CELL_INT = 3,
    THALWEG_CELL_UNSIGNED = 4,
    THALWEG_CELL_DOUBLE = 5,
    THALWEG_CELL_STRING = 6,
    THALWEG_CELL_TEXT = 7,
    THALWEG_CELL_RECORD = 8,
    THALWEG_CELL_ARRAY = 9,
    THALWEG_CELL_RAW = 10
};

enum {
    THALWEG_NODE_SCALAR = 0,
    THALWEG_NODE_RECORD = 1,
    THALWEG_NODE_ARRAY = 2,
    /// The value's JSON text is handed over as it stands.
    THALWEG_NODE_RAW = 3
};

/// "no such node"
#define THALWEG_NODE_NONE UINT32_MAX

/// One node of the flattened field tree.
typedef struct {
    /// UTF-8, not terminated; copied by `thalweg_json_create`.
    const uint8_t *name;
    uint32_t name_length;
    /// Of a record: its first field; of an array: its element; otherwise none.
    uint32_t first_child;
    /// The next field of the same record.
    uint32_t next_sibling;
    /// Where its cell lies in its frame: the record's cells, or one element's cells of an array.
    uint32_t cell;
    /// How many cells it and its subtree take in that frame.
    uint32_t width;
    /// THALWEG_NODE_...
    uint32_t kind;
} thalweg_json_node;

typedef enum {
    THALWEG_JSON_OK = 0,
    /// The line holds white space only.
    THALWEG_JSON_BLANK = 1,
    THALWEG_JSON_TRUNCATED = 2,
    THALWEG_JSON_EXPECTED_KEY = 3,
    THALWEG_JSON_EXPECTED_COLON = 4,
    THALWEG_JSON_EXPECTED_COMMA = 5,
    THALWEG_JSON_EXPECTED_VALUE = 6,
    THALWEG_JSON_BAD_LITERAL = 7,
    THALWEG_JSON_BAD_NUMBER = 8,
    THALWEG_JSON_NUMBER_RANGE = 9,
    THALWEG_JSON_BAD_ESCAPE = 10,
    THALWEG_JSON_TOO_DEEP = 11,
    THALWEG_JSON_TRAILING = 12,
    THALWEG_JSON_TOO_MANY_CELLS = 13,
    THALWEG_JSON_MISMATCHED_BRACKET = 14,
    THALWEG_JSON_UNCLOSED_STRING = 20,
    THALWEG_JSON_CONTROL_CHARACTER = 21,
    THALWEG_JSON_INVALID_UTF8 = 22,
    THALWEG_JSON_NO_MEMORY = 23,
    THALWEG_JSON_STRUCTURE = 24
} thalweg_json_code;

typedef struct thalweg_json_parser thalweg_json_parser;

/// Where and in which field the last failed line failed.
typedef struct {
    /// Byte offset in the block.
    size_t offset;
    /// The node that was being read, or THALWEG_NODE_NONE.
    uint32_t node;
} thalweg_json_place;

/// A parser for records of the tree whose root is node 0. NULL when memory is short.
///
/// `max_depth` bounds nesting, also of values that are skipped; `max_cells` bounds the cells of one line's arrays.
thalweg_json_parser *thalweg_json_create(
    const thalweg_json_node *nodes, size_t count, uint32_t max_depth, size_t max_cells);

void thalweg_json_destroy(thalweg_json_parser *parser);

/// Finds the structure of a block: whole lines, THALWEG_JSON_PADDING readable bytes behind them.
///
/// The bytes must stay where they are while lines of the block are parsed. Any failure may come from any line: load
/// the lines one by one to learn which.
thalweg_json_code thalweg_json_load(thalweg_json_parser *parser, const uint8_t *block, size_t length);

/// Fills the root's cells from the line at `start..<end` of the loaded block; lines must be asked for in order.
///
/// The line must be one JSON value. Unknown fields are skipped: of them only the bracket structure is checked. Of
/// duplicate keys the last wins. Strings and arrays point into the block or into the parser and stay valid until the
/// next line is parsed.
thalweg_json_code thalweg_json_parse_line(
    thalweg_json_parser *parser, size_t start, size_t end, thalweg_json_cell *cells);

thalweg_json_place thalweg_json_last_place(const thalweg_json_parser *parser);

#ifdef __cplusplus
}
#endif

#endif
