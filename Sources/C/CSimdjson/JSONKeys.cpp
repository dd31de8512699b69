// SPDX-License-Identifier: Apache-2.0
// The field tree: finding a field by its name, and arrays' cells.

#include "JSONWalk.hpp"

#include <algorithm>

namespace thalweg {

static uint32_t hashOf(const uint8_t *bytes, uint32_t length) {
    uint64_t hash = 0xCBF29CE484222325u ^ length;
    for (uint32_t i = 0; i < length; i++) hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return uint32_t(hash ^ (hash >> 32));
}

void Keys::start(size_t fields) {
    entries.assign(1, Key{});
    entries[0].node = THALWEG_NODE_NONE;
    size_t size = 1024;
    while (size < 4 * fields) size *= 2;
    slots.assign(size, 0);
}

uint32_t Keys::find(const uint8_t *bytes, uint32_t length) const {
    size_t mask = slots.size() - 1;
    for (size_t slot = hashOf(bytes, length) & mask; slots[slot] != 0; slot = (slot + 1) & mask) {
        const Key &entry = entries[slots[slot]];
        if (entry.length == length && memcmp(entry.bytes, bytes, length) == 0) return slots[slot];
    }
    return 0;
}

uint32_t Keys::add(const uint8_t *bytes, uint32_t length, uint32_t node) {
    if (length > Key::longest || entries.size() * 2 > slots.size() || entries.size() >= UINT16_MAX) return 0;
    // Fields always find room; of unknown keys only so many are remembered.
    if (node == THALWEG_NODE_NONE && entries.size() > most) return 0;
    Key entry{};
    memcpy(entry.bytes, bytes, length);
    entry.length = length;
    entry.node = node;
    entries.push_back(entry);
    size_t mask = slots.size() - 1;
    size_t slot = hashOf(bytes, length) & mask;
    while (slots[slot] != 0) slot = (slot + 1) & mask;
    slots[slot] = uint16_t(entries.size() - 1);
    return uint32_t(entries.size() - 1);
}

Tree::Tree(const thalweg_json_node *given, size_t count) : nodes(given, given + count), names(count), keys(count) {
    for (size_t i = 0; i < count; i++) {
        names[i].assign(reinterpret_cast<const char *>(nodes[i].name), nodes[i].name_length);
        nodes[i].name = nullptr;
    }
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].kind != THALWEG_NODE_RECORD) continue;
        size_t fields = 0;
        for (uint32_t f = nodes[i].first_child; f != THALWEG_NODE_NONE; f = nodes[f].next_sibling) fields++;
        keys[i].start(fields);
        // The declared order is the first guess at the order of keys.
        uint32_t last = 0;
        for (uint32_t f = nodes[i].first_child; f != THALWEG_NODE_NONE; f = nodes[f].next_sibling) {
            uint32_t entry = keys[i].add(
                reinterpret_cast<const uint8_t *>(names[f].data()), uint32_t(names[f].size()), f);
            keys[i].entries[last].next = entry;
            last = entry;
        }
    }
}

uint32_t Tree::field(uint32_t record, const uint8_t *bytes, uint32_t length) const {
    for (uint32_t f = nodes[record].first_child; f != THALWEG_NODE_NONE; f = nodes[f].next_sibling) {
        if (names[f].size() == length && memcmp(names[f].data(), bytes, length) == 0) return f;
    }
    return THALWEG_NODE_NONE;
}

thalweg_json_cell *CellArena::take(size_t count) {
    if (count > most - total) return nullptr;
    total += count;
    thalweg_json_cell *cells;
    if (count > chunkCells / 4) {
        large.push_back(std::make_unique<thalweg_json_cell[]>(count));
        return large.back().get();
    }
    if (chunks.empty() || used + count > chunkCells) {
        if (!chunks.empty()) current++;
        if (current == chunks.size()) chunks.push_back(std::make_unique<thalweg_json_cell[]>(chunkCells));
        used = 0;
    }
    cells = chunks[current].get() + used;
    used += count;
    memset(static_cast<void *>(cells), 0, count * sizeof(thalweg_json_cell));
    return cells;
}

void CellArena::reset() {
    if (total == 0) return;
    large.clear();
    if (chunks.size() > 16) chunks.resize(16);
    current = used = total = 0;
}

} // namespace thalweg
