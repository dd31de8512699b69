// SPDX-License-Identifier: Apache-2.0
// One pass over the structure of a line that fills the cells of a record.
#ifndef THALWEG_JSON_WALK_HPP
#define THALWEG_JSON_WALK_HPP

#include "CSimdjson.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace thalweg {

/// A key as seen in a record: which field it names, and which key came after it last time.
struct Key {
    static constexpr uint32_t longest = 63;
    uint8_t bytes[longest + 9];
    uint32_t length;
    /// THALWEG_NODE_NONE when no field has this name: its value is skipped.
    uint32_t node;
    /// Index of the key that followed, 0 when unknown.
    uint32_t next;
};

/// The keys of one record node. Entry 0 stands for the beginning of the record and matches nothing.
struct Keys {
    static constexpr size_t most = 256;
    std::vector<Key> entries;
    /// Open addressing over `entries`; 0 is empty.
    std::vector<uint16_t> slots;

    void start(size_t fields);
    /// The entry of a key, or 0.
    uint32_t find(const uint8_t *bytes, uint32_t length) const;
    /// Adds a key unless it is too long or the table is full; returns its entry or 0.
    uint32_t add(const uint8_t *bytes, uint32_t length, uint32_t node);
};

/// The field tree with what was learned about the order of keys.
struct Tree {
    std::vector<thalweg_json_node> nodes;
    std::vector<std::string> names;
    std::vector<Keys> keys;

    Tree(const thalweg_json_node *given, size_t count);
    /// The field of a record by name, by looking at each.
    uint32_t field(uint32_t record, const uint8_t *bytes, uint32_t length) const;
};

/// Cells for the elements of arrays, given back all at once when the next line begins.
class CellArena {
public:
    explicit CellArena(size_t most) : most(most) {}
    /// Cleared cells, or null when the line's limit is passed.
    thalweg_json_cell *take(size_t count);
    void reset();

private:
    static constexpr size_t chunkCells = 4096;
    size_t most;
    size_t total = 0;
    size_t used = 0;
    std::vector<std::unique_ptr<thalweg_json_cell[]>> chunks;
    std::vector<std::unique_ptr<thalweg_json_cell[]>> large;
    size_t current = 0;
};

class Walk {
public:
    thalweg_json_place place{0, THALWEG_NODE_NONE};

    Walk(Tree &tree, uint32_t max_depth, size_t max_cells) : tree(tree), maxDepth(max_depth), arena(max_cells) {}

    void load(const uint8_t *block, size_t length, const uint32_t *structure);
    thalweg_json_code line(uint32_t start, uint32_t end, thalweg_json_cell *cells);

private:
    Tree &tree;
    uint32_t maxDepth;
    CellArena arena;
    const uint8_t *block = nullptr;
    size_t blockLength = 0;
    /// The next structural character.
    const uint32_t *at = nullptr;
    uint32_t lineStart = 0;
    uint32_t lineEnd = 0;
    /// The first backslash of the block at or after the last place asked for; strings before it need no unescaping.
    const uint8_t *backslash = nullptr;
    /// Unescaped strings of this line; never longer than the line.
    std::vector<uint8_t> scratch;
    size_t scratchUsed = 0;

    thalweg_json_code value(uint32_t node, thalweg_json_cell *frame, uint32_t depth);
    thalweg_json_code record(uint32_t node, thalweg_json_cell *frame, uint32_t depth);
    thalweg_json_code array(uint32_t node, thalweg_json_cell &cell, uint32_t depth);
    thalweg_json_code scalar(thalweg_json_cell &cell);
    thalweg_json_code number(thalweg_json_cell &cell);
    thalweg_json_code string(const uint8_t *&bytes, uint32_t &length);
    thalweg_json_code key(uint32_t record, uint32_t &last, uint32_t &field);
    thalweg_json_code skip(uint32_t depth);
    thalweg_json_code raw(thalweg_json_cell &cell, uint32_t depth);
    bool count(size_t &elements) const;

    bool escaped(const uint8_t *from, const uint8_t *to);
    thalweg_json_code unescape(const uint8_t *from, const uint8_t *to, const uint8_t *&bytes, uint32_t &length);
    thalweg_json_code fail(thalweg_json_code code);
    thalweg_json_code fail(thalweg_json_code code, const uint8_t *where);

    bool ended() const { return *at >= lineEnd; }
    uint8_t here() const { return block[*at]; }
    /// Where the token before the next structural character may end at most.
    const uint8_t *tokenEnd() const { return block + (at[1] < lineEnd ? at[1] : lineEnd); }
};

/// Whether a number or literal may end before this character.
bool endsToken(uint8_t character);

/// The JSON number at `from`, not read beyond `end` where the text is well formed; `after` is its end.
thalweg_json_code parseNumber(
    const uint8_t *from, const uint8_t *end, thalweg_json_cell &cell, const uint8_t *&after);

/// Unescapes `from..<to` into `out`; null when an escape is malformed.
uint8_t *unescapeString(const uint8_t *from, const uint8_t *to, uint8_t *out);

} // namespace thalweg

#endif
