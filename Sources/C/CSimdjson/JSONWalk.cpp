// SPDX-License-Identifier: Apache-2.0
// Records, arrays, keys and skipping: the walk from one structural character to the next.

#include "JSONWalk.hpp"

namespace thalweg {

static constexpr bool isOpen(uint8_t c) { return c == '{' || c == '['; }
static constexpr bool isClose(uint8_t c) { return c == '}' || c == ']'; }

static inline uint64_t word(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, 8);
    return value;
}

/// Whether the key at `text` (its first character) is this one, closing quote included.
static inline bool matches(const uint8_t *text, const Key &key) {
    uint32_t length = key.length;
    if (text[length] != '"') return false;
    uint32_t i = 0;
    for (; i + 8 <= length; i += 8) {
        if (word(text + i) != word(key.bytes + i)) return false;
    }
    if (i == length) return true;
    uint64_t mask = (uint64_t(1) << (8 * (length - i))) - 1;
    return ((word(text + i) ^ word(key.bytes + i)) & mask) == 0;
}

void Walk::load(const uint8_t *bytes, size_t length, const uint32_t *structure) {
    block = bytes;
    blockLength = length;
    at = structure;
    backslash = length == 0 ? bytes : static_cast<const uint8_t *>(memchr(bytes, '\\', length));
    if (!backslash) backslash = bytes + length;
}

thalweg_json_code Walk::line(uint32_t start, uint32_t end, thalweg_json_cell *cells) {
    lineStart = start;
    lineEnd = end;
    scratchUsed = 0;
    arena.reset();
    while (*at < start) at++;
    if (ended()) return THALWEG_JSON_BLANK;
    place.node = 0;
    memset(static_cast<void *>(cells), 0, tree.nodes[0].width * sizeof(thalweg_json_cell));
    thalweg_json_code code = value(0, cells, 0);
    if (code != THALWEG_JSON_OK) return code;
    if (!ended()) {
        place.node = THALWEG_NODE_NONE;
        return fail(THALWEG_JSON_TRAILING);
    }
    return THALWEG_JSON_OK;
}

thalweg_json_code Walk::fail(thalweg_json_code code) { return fail(code, block + (ended() ? lineEnd : *at)); }

thalweg_json_code Walk::fail(thalweg_json_code code, const uint8_t *where) {
    place.offset = size_t(where - block);
    return code;
}

thalweg_json_code Walk::value(uint32_t index, thalweg_json_cell *frame, uint32_t depth) {
    if (ended()) return fail(THALWEG_JSON_TRUNCATED);
    const thalweg_json_node &node = tree.nodes[index];
    thalweg_json_cell &cell = frame[node.cell];
    place.node = index;
    uint8_t first = here();
    if (node.kind == THALWEG_NODE_SCALAR && !isOpen(first)) return scalar(cell);
    if (node.kind == THALWEG_NODE_RAW) return raw(cell, depth);
    if (first == '{') {
        if (node.kind == THALWEG_NODE_RECORD) return record(index, frame, depth);
        cell = {0, 0, THALWEG_CELL_RECORD};
        return skip(depth);
    }
    if (first == '[') {
        if (node.kind == THALWEG_NODE_ARRAY) return array(index, cell, depth);
        cell = {0, 0, THALWEG_CELL_ARRAY};
        return skip(depth);
    }
    return scalar(cell);
}

thalweg_json_code Walk::record(uint32_t index, thalweg_json_cell *frame, uint32_t depth) {
    if (depth >= maxDepth) return fail(THALWEG_JSON_TOO_DEEP);
    frame[tree.nodes[index].cell] = {0, 0, THALWEG_CELL_RECORD};
    at++;
    if (ended()) return fail(THALWEG_JSON_TRUNCATED);
    if (here() == '}') {
        at++;
        return THALWEG_JSON_OK;
    }
    uint32_t last = 0;
    while (true) {
        uint32_t field;
        if (thalweg_json_code code = key(index, last, field)) return code;
        if (field == THALWEG_NODE_NONE) {
            if (thalweg_json_code code = skip(depth + 1)) return code;
        } else {
            const thalweg_json_node &node = tree.nodes[field];
            thalweg_json_cell *cells = frame + node.cell;
            if (cells->kind != THALWEG_CELL_MISSING) {
                // A key for the second time: nothing of the first value may shine through.
                memset(static_cast<void *>(cells), 0, node.width * sizeof(thalweg_json_cell));
            }
            if (thalweg_json_code code = value(field, frame, depth + 1)) return code;
            place.node = index;
        }
        if (ended()) return fail(THALWEG_JSON_TRUNCATED);
        uint8_t next = here();
        at++;
        if (next == ',') continue;
        if (next == '}') return THALWEG_JSON_OK;
        at--;
        return fail(next == ']' ? THALWEG_JSON_MISMATCHED_BRACKET : THALWEG_JSON_EXPECTED_COMMA);
    }
}

/// Reads a key and its colon. `last` is the entry of the key before and becomes the entry of this one.
thalweg_json_code Walk::key(uint32_t index, uint32_t &last, uint32_t &field) {
    if (ended()) return fail(THALWEG_JSON_TRUNCATED);
    const uint8_t *text = block + *at + 1;
    if (text[-1] != '"') return fail(THALWEG_JSON_EXPECTED_KEY);
    Keys &keys = tree.keys[index];
    uint32_t guess = keys.entries[last].next;
    if (guess != 0 && matches(text, keys.entries[guess])) {
        last = guess;
        field = keys.entries[guess].node;
        at++;
    } else {
        const uint8_t *bytes;
        uint32_t length;
        if (thalweg_json_code code = string(bytes, length)) return code;
        uint32_t entry = length <= Key::longest ? keys.find(bytes, length) : 0;
        if (entry == 0) {
            field = tree.field(index, bytes, length);
            // Escaped keys are not remembered: what is remembered is compared with the raw text.
            if (bytes == text) entry = keys.add(bytes, length, field);
        } else {
            field = keys.entries[entry].node;
        }
        keys.entries[last].next = entry;
        last = entry;
    }
    if (ended()) return fail(THALWEG_JSON_TRUNCATED);
    if (here() != ':') return fail(THALWEG_JSON_EXPECTED_COLON);
    at++;
    return THALWEG_JSON_OK;
}

thalweg_json_code Walk::array(uint32_t index, thalweg_json_cell &cell, uint32_t depth) {
    if (depth >= maxDepth) return fail(THALWEG_JSON_TOO_DEEP);
    at++;
    size_t elements;
    if (!count(elements)) {
        while (!ended()) at++;
        return fail(THALWEG_JSON_TRUNCATED);
    }
    cell = {0, 0, THALWEG_CELL_ARRAY};
    if (elements == 0) {
        at++;
        return THALWEG_JSON_OK;
    }
    uint32_t element = tree.nodes[index].first_child;
    size_t width = tree.nodes[element].width;
    thalweg_json_cell *frame = arena.take(elements * width);
    if (!frame) return fail(THALWEG_JSON_TOO_MANY_CELLS);
    cell.bits = uint64_t(reinterpret_cast<uintptr_t>(frame));
    cell.length = uint32_t(elements);
    for (size_t i = 0;; i++) {
        if (thalweg_json_code code = value(element, frame + i * width, depth + 1)) return code;
        place.node = index;
        if (ended()) return fail(THALWEG_JSON_TRUNCATED);
        uint8_t next = here();
        if (next == ',' && i + 1 < elements) {
            at++;
        } else if (next == ']' && i + 1 == elements) {
            at++;
            return THALWEG_JSON_OK;
        } else {
            return fail(next == '}' ? THALWEG_JSON_MISMATCHED_BRACKET : THALWEG_JSON_EXPECTED_COMMA);
        }
    }
}

/// Counts the elements of the array whose opening bracket was just passed; false when it does not end in this line.
bool Walk::count(size_t &elements) const {
    const uint32_t *look = at;
    if (*look >= lineEnd) return false;
    if (block[*look] == ']') {
        elements = 0;
        return true;
    }
    elements = 1;
    for (uint64_t open = 1; *look < lineEnd; look++) {
        uint8_t c = block[*look];
        if (isOpen(c)) {
            open++;
        } else if (isClose(c)) {
            if (--open == 0) return true;
        } else if (c == ',' && open == 1) {
            elements++;
        }
    }
    return false;
}

thalweg_json_code Walk::skip(uint32_t depth) {
    if (ended()) return fail(THALWEG_JSON_TRUNCATED);
    uint8_t first = here();
    if (!isOpen(first)) {
        if (isClose(first) || first == ',' || first == ':') return fail(THALWEG_JSON_EXPECTED_VALUE);
        at++;
        return THALWEG_JSON_OK;
    }
    if (depth >= maxDepth) return fail(THALWEG_JSON_TOO_DEEP);
    // One bit per open bracket: set for a record.
    uint64_t bits[16] = {0};
    uint32_t open = 0;
    uint32_t most = maxDepth - depth < 1024 ? maxDepth - depth : 1024;
    do {
        if (ended()) return fail(THALWEG_JSON_TRUNCATED);
        uint8_t c = here();
        if (isOpen(c)) {
            if (open == most) return fail(THALWEG_JSON_TOO_DEEP);
            uint64_t bit = uint64_t(1) << (open & 63);
            bits[open >> 6] = c == '{' ? bits[open >> 6] | bit : bits[open >> 6] & ~bit;
            open++;
        } else if (isClose(c)) {
            open--;
            bool isRecord = (bits[open >> 6] >> (open & 63)) & 1;
            if (isRecord != (c == '}')) return fail(THALWEG_JSON_MISMATCHED_BRACKET);
        }
        at++;
    } while (open > 0);
    return THALWEG_JSON_OK;
}

thalweg_json_code Walk::raw(thalweg_json_cell &cell, uint32_t depth) {
    const uint8_t *from = block + *at;
    bool nested = isOpen(*from);
    if (!nested && *from == 'n') return scalar(cell);
    const uint8_t *to = tokenEnd();
    if (thalweg_json_code code = skip(depth)) return code;
    if (nested) to = block + at[-1] + 1;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r' || to[-1] == '\n')) to--;
    cell = {uint64_t(reinterpret_cast<uintptr_t>(from)), uint32_t(to - from), THALWEG_CELL_RAW};
    return THALWEG_JSON_OK;
}

} // namespace thalweg
