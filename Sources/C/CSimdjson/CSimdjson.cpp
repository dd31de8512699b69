// SPDX-License-Identifier: Apache-2.0
// The parser's C doors: simdjson's first stage over a block of lines, then one walk per line.

#include "JSONWalk.hpp"

#if !__has_include(<simdjson.h>)
#error "simdjson is missing: install libsimdjson-dev (apt-get install libsimdjson-dev)"
#endif
#include <simdjson.h>

#include <new>

struct thalweg_json_parser {
    thalweg::Tree tree;
    thalweg::Walk walk;
    std::unique_ptr<simdjson::internal::dom_parser_implementation> structure;

    thalweg_json_parser(const thalweg_json_node *nodes, size_t count, uint32_t max_depth, size_t max_cells)
        : tree(nodes, count), walk(tree, max_depth, max_cells) {}

    bool reserve(size_t capacity) {
        if (structure && structure->capacity() >= capacity) return true;
        size_t wanted = structure ? structure->capacity() : 64 * 1024;
        while (wanted < capacity) wanted *= 2;
        const simdjson::implementation *implementation = simdjson::get_active_implementation();
        if (!structure) return !implementation->create_dom_parser_implementation(wanted, 16, structure);
        return !structure->set_capacity(wanted);
    }
};

static thalweg_json_code code_of(simdjson::error_code error) {
    switch (error) {
    case simdjson::SUCCESS: return THALWEG_JSON_OK;
    case simdjson::EMPTY: return THALWEG_JSON_BLANK;
    case simdjson::UNCLOSED_STRING: return THALWEG_JSON_UNCLOSED_STRING;
    case simdjson::UNESCAPED_CHARS: return THALWEG_JSON_CONTROL_CHARACTER;
    case simdjson::UTF8_ERROR: return THALWEG_JSON_INVALID_UTF8;
    case simdjson::MEMALLOC: return THALWEG_JSON_NO_MEMORY;
    default: return THALWEG_JSON_STRUCTURE;
    }
}

extern "C" thalweg_json_parser *thalweg_json_create(
    const thalweg_json_node *nodes, size_t count, uint32_t max_depth, size_t max_cells) {
    try {
        return new thalweg_json_parser(nodes, count, max_depth, max_cells);
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

extern "C" void thalweg_json_destroy(thalweg_json_parser *parser) { delete parser; }

extern "C" thalweg_json_code thalweg_json_load(thalweg_json_parser *parser, const uint8_t *block, size_t length) {
    if (!parser->reserve(length)) return THALWEG_JSON_NO_MEMORY;
    auto &structure = *parser->structure;
    thalweg_json_code code = length == 0
        ? THALWEG_JSON_BLANK
        : code_of(structure.stage1(block, length, simdjson::stage1_mode::regular));
    if (code == THALWEG_JSON_BLANK) {
        structure.n_structural_indexes = 0;
        code = THALWEG_JSON_OK;
    }
    if (code != THALWEG_JSON_OK) structure.n_structural_indexes = 0;
    structure.structural_indexes[structure.n_structural_indexes] = uint32_t(length);
    parser->walk.load(block, length, structure.structural_indexes.get());
    return code;
}

extern "C" thalweg_json_code thalweg_json_parse_line(
    thalweg_json_parser *parser, size_t start, size_t end, thalweg_json_cell *cells) {
    try {
        return parser->walk.line(uint32_t(start), uint32_t(end), cells);
    } catch (const std::bad_alloc &) {
        return THALWEG_JSON_NO_MEMORY;
    }
}

extern "C" thalweg_json_place thalweg_json_last_place(const thalweg_json_parser *parser) {
    return parser->walk.place;
}
