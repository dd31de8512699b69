// SPDX-License-Identifier: Apache-2.0
// Strings, numbers and literals.

#include "JSONWalk.hpp"

#include <charconv>
#include <limits>

namespace thalweg {

bool endsToken(uint8_t c) {
    switch (c) {
    case ' ': case '\t': case '\n': case '\r': case ',': case ':': case '{': case '}': case '[': case ']':
        return true;
    default:
        return false;
    }
}

thalweg_json_code Walk::scalar(thalweg_json_cell &cell) {
    const uint8_t *from = block + *at;
    switch (*from) {
    case '"': {
        const uint8_t *bytes;
        uint32_t length;
        if (thalweg_json_code code = string(bytes, length)) return code;
        cell = {uint64_t(reinterpret_cast<uintptr_t>(bytes)), length, THALWEG_CELL_STRING};
        return THALWEG_JSON_OK;
    }
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        return number(cell);
    case 't': case 'f': case 'n': {
        static const char *const texts[] = {"true", "false", "null"};
        int which = *from == 't' ? 0 : *from == 'f' ? 1 : 2;
        size_t length = which == 1 ? 5 : 4;
        if (size_t(block + lineEnd - from) < length || memcmp(from, texts[which], length) != 0
            || (from + length < block + lineEnd && !endsToken(from[length])))
            return fail(THALWEG_JSON_BAD_LITERAL);
        cell = {uint64_t(which == 0), 0, uint8_t(which == 2 ? THALWEG_CELL_NULL : THALWEG_CELL_BOOL)};
        at++;
        return THALWEG_JSON_OK;
    }
    case '}': case ']': case ',': case ':':
        return fail(THALWEG_JSON_EXPECTED_VALUE);
    default:
        return fail(THALWEG_JSON_BAD_LITERAL);
    }
}

thalweg_json_code Walk::number(thalweg_json_cell &cell) {
    const uint8_t *after;
    const uint8_t *end = block + lineEnd;
    if (thalweg_json_code code = parseNumber(block + *at, end, cell, after)) return fail(code);
    if (after < end && !endsToken(*after)) return fail(THALWEG_JSON_BAD_NUMBER);
    at++;
    return THALWEG_JSON_OK;
}

/// Reads the string at the cursor. Between its opening quote and the next structural character there is nothing but
/// its text, the closing quote and white space: the first stage made sure of that.
thalweg_json_code Walk::string(const uint8_t *&bytes, uint32_t &length) {
    const uint8_t *from = block + *at + 1;
    const uint8_t *to = tokenEnd() - 1;
    while (to >= from && *to != '"') to--;
    if (to < from) return fail(THALWEG_JSON_UNCLOSED_STRING);
    if (escaped(from, to)) {
        if (thalweg_json_code code = unescape(from, to, bytes, length)) return code;
    } else {
        bytes = from;
        length = uint32_t(to - from);
    }
    at++;
    return THALWEG_JSON_OK;
}

bool Walk::escaped(const uint8_t *from, const uint8_t *to) {
    if (backslash < from) {
        const uint8_t *end = block + blockLength;
        backslash = static_cast<const uint8_t *>(memchr(from, '\\', size_t(end - from)));
        if (!backslash) backslash = end;
    }
    return backslash < to;
}

thalweg_json_code Walk::unescape(
    const uint8_t *from, const uint8_t *to, const uint8_t *&bytes, uint32_t &length) {
    // All unescaped strings of a line together are shorter than the line, so what was handed out never moves.
    if (scratchUsed == 0 && scratch.size() < lineEnd - lineStart) scratch.resize(lineEnd - lineStart);
    uint8_t *out = scratch.data() + scratchUsed;
    uint8_t *end = unescapeString(from, to, out);
    if (!end) return fail(THALWEG_JSON_BAD_ESCAPE);
    bytes = out;
    length = uint32_t(end - out);
    scratchUsed += length;
    return THALWEG_JSON_OK;
}

static int hexDigit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Four hexadecimal digits, or -1.
static int32_t codeUnit(const uint8_t *from, const uint8_t *to) {
    if (to - from < 4) return -1;
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hexDigit(from[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static uint8_t *appendScalar(uint32_t scalar, uint8_t *out) {
    if (scalar < 0x80) {
        *out++ = uint8_t(scalar);
    } else if (scalar < 0x800) {
        *out++ = uint8_t(0xC0 | scalar >> 6);
        *out++ = uint8_t(0x80 | (scalar & 0x3F));
    } else if (scalar < 0x10000) {
        *out++ = uint8_t(0xE0 | scalar >> 12);
        *out++ = uint8_t(0x80 | (scalar >> 6 & 0x3F));
        *out++ = uint8_t(0x80 | (scalar & 0x3F));
    } else {
        *out++ = uint8_t(0xF0 | scalar >> 18);
        *out++ = uint8_t(0x80 | (scalar >> 12 & 0x3F));
        *out++ = uint8_t(0x80 | (scalar >> 6 & 0x3F));
        *out++ = uint8_t(0x80 | (scalar & 0x3F));
    }
    return out;
}

/// The part of an escape after its `\u`; moves `from` behind it. A lone surrogate is an error: it is no text.
static bool unicodeEscape(const uint8_t *&from, const uint8_t *to, uint8_t *&out) {
    int32_t unit = codeUnit(from, to);
    if (unit < 0 || (unit >= 0xDC00 && unit < 0xE000)) return false;
    from += 4;
    uint32_t scalar = uint32_t(unit);
    if (unit >= 0xD800 && unit < 0xDC00) {
        if (to - from < 6 || from[0] != '\\' || from[1] != 'u') return false;
        int32_t low = codeUnit(from + 2, to);
        if (low < 0xDC00 || low >= 0xE000) return false;
        from += 6;
        scalar = 0x10000 + (uint32_t(unit - 0xD800) << 10) + uint32_t(low - 0xDC00);
    }
    out = appendScalar(scalar, out);
    return true;
}

uint8_t *unescapeString(const uint8_t *from, const uint8_t *to, uint8_t *out) {
    while (from < to) {
        const uint8_t *stop = static_cast<const uint8_t *>(memchr(from, '\\', size_t(to - from)));
        size_t plain = size_t((stop ? stop : to) - from);
        memcpy(out, from, plain);
        out += plain;
        if (!stop) return out;
        from = stop + 1;
        if (from == to) return nullptr;
        switch (*from++) {
        case '"': *out++ = '"'; break;
        case '\\': *out++ = '\\'; break;
        case '/': *out++ = '/'; break;
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'n': *out++ = '\n'; break;
        case 'r': *out++ = '\r'; break;
        case 't': *out++ = '\t'; break;
        case 'u':
            if (!unicodeEscape(from, to, out)) return nullptr;
            break;
        default: return nullptr;
        }
    }
    return out;
}

static inline bool isDigit(uint8_t c) { return uint8_t(c - '0') <= 9; }

/// Whether the next eight bytes are all digits, and their value (Lemire and Langdale's arithmetic in a word).
static inline bool eightDigits(const uint8_t *from, uint64_t &value) {
    uint64_t word;
    memcpy(&word, from, 8);
    if (((word & 0xF0F0F0F0F0F0F0F0u) | (((word + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) >> 4))
        != 0x3333333333333333u)
        return false;
    word = (word & 0x0F0F0F0F0F0F0F0Fu) * 2561 >> 8;
    word = (word & 0x00FF00FF00FF00FFu) * 6553601 >> 16;
    value = (word & 0x0000FFFF0000FFFFu) * 42949672960001u >> 32;
    return true;
}

/// A number with a fraction, an exponent, or more digits than 64 bits hold.
static thalweg_json_code parseDouble(const uint8_t *from, const uint8_t *to, thalweg_json_cell &cell) {
    double value = 0;
    auto *first = reinterpret_cast<const char *>(from);
    auto *last = reinterpret_cast<const char *>(to);
    auto result = std::from_chars(first, last, value);
    if (result.ec == std::errc::result_out_of_range) {
        // Too small is zero, too large is an error: the exponent's sign tells, and without one the whole part does.
        const uint8_t *p = from;
        while (p < to && *p != 'e' && *p != 'E') p++;
        bool isSmall = p < to ? p[1] == '-' : from[*from == '-'] == '0';
        if (!isSmall) return THALWEG_JSON_NUMBER_RANGE;
        value = *from == '-' ? -0.0 : 0.0;
    } else if (result.ec != std::errc() || result.ptr != last) {
        return THALWEG_JSON_BAD_NUMBER;
    }
    uint64_t bits;
    memcpy(&bits, &value, 8);
    cell = {bits, 0, THALWEG_CELL_DOUBLE};
    return THALWEG_JSON_OK;
}

/// What follows the whole part: fraction and exponent, as the grammar has them. False when malformed.
static bool scanFraction(const uint8_t *&p) {
    if (*p == '.') {
        p++;
        if (!isDigit(*p)) return false;
        while (isDigit(*p)) p++;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-') p++;
        if (!isDigit(*p)) return false;
        while (isDigit(*p)) p++;
    }
    return true;
}

/// Exact for mantissas below 2^53 and fractions of up to 22 digits without an exponent (Clinger's fast path).
static bool shortDecimal(const uint8_t *from, const uint8_t *to, bool negative, thalweg_json_cell &cell) {
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (to - from > 16) return false;
    uint64_t mantissa = 0;
    int fraction = -1;
    for (; from < to; from++) {
        if (*from == '.') {
            fraction = 0;
        } else if (isDigit(*from)) {
            mantissa = mantissa * 10 + (*from - '0');
            if (fraction >= 0) fraction++;
        } else {
            return false;
        }
    }
    if (mantissa >> 53) return false;
    double value = double(mantissa) / powers[fraction < 0 ? 0 : fraction];
    if (negative) value = -value;
    uint64_t bits;
    memcpy(&bits, &value, 8);
    cell = {bits, 0, THALWEG_CELL_DOUBLE};
    return true;
}

thalweg_json_code parseNumber(
    const uint8_t *from, const uint8_t *end, thalweg_json_cell &cell, const uint8_t *&after) {
    bool negative = *from == '-';
    const uint8_t *digits = from + negative;
    const uint8_t *p = digits;
    uint64_t value = 0;
    uint64_t eight;
    // Digits cannot run beyond the line: a line ends with a byte that is no digit.
    if (end - p >= 8 && eightDigits(p, eight)) {
        value = eight;
        p += 8;
    }
    while (isDigit(*p)) value = value * 10 + (*p++ - '0');
    size_t count = size_t(p - digits);
    if (count == 0 || (*digits == '0' && count > 1)) return THALWEG_JSON_BAD_NUMBER;
    if (*p == '.' || *p == 'e' || *p == 'E') {
        if (!scanFraction(p)) return THALWEG_JSON_BAD_NUMBER;
        after = p;
        if (shortDecimal(digits, p, negative, cell)) return THALWEG_JSON_OK;
        return parseDouble(from, p, cell);
    }
    after = p;
    // Twenty digits hold a UInt64 when they begin with 1 and did not wrap around.
    bool fits = count < 20 || (count == 20 && *digits == '1' && value >= 10000000000000000000u);
    constexpr uint64_t most = uint64_t(std::numeric_limits<int64_t>::max());
    if (!fits || (negative && (value > most + 1 || value == 0))) return parseDouble(from, p, cell);
    if (negative) {
        cell = {~value + 1, 0, THALWEG_CELL_INT};
    } else {
        cell = {value, 0, uint8_t(value > most ? THALWEG_CELL_UNSIGNED : THALWEG_CELL_INT)};
    }
    return THALWEG_JSON_OK;
}

} // namespace thalweg
