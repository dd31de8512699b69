#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the entries of a segment or a snapshot as JSON lines: a reader of segment-format.md that shares no code with
the engine. Needs libzstd and libxxhash (Debian: libzstd1 libxxhash0).

    read_segment.py FILE.segment             every entry, tombstones too
    read_segment.py CHECKPOINT_DIRECTORY     what is there, with files in layers merged
"""

import ctypes
import json
import os
import struct
import sys

MAGIC = b"THWLSEG\n"
VERSION = 2
METADATA_VERSION = 2
PUT, TOMBSTONE, ROW_TOMBSTONE = 0, 1, 2
KEYED = {"value", "list", "map", "pane", "timers", "buffer", "keyedList"}

_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
_zstd = ctypes.CDLL("libzstd.so.1")
_zstd.ZSTD_decompress.restype = ctypes.c_size_t
_zstd.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]


class Damage(Exception):
    """A file is not as the format says."""


def require(holds, what):
    if not holds:
        raise Damage(what)


def xxh3(data):
    return _xxhash.XXH3_64bits(data, len(data))


def decompress(data, size):
    out = ctypes.create_string_buffer(size + 1)
    require(_zstd.ZSTD_decompress(out, size, data, len(data)) == size, "a block cannot be decompressed")
    return out.raw[:size]


class Bytes:
    """Takes numbers and counted bytes from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        require(0 <= count <= len(self.data) - self.at, "it ends early")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, kind):
        return struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))[0]

    def counted(self):
        return self.take(self.number("I"))

    def varint(self):
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Damage("a varint is too long")


class Segment:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        data = self.data
        require(len(data) >= 56 and data[:8] == MAGIC and data[-8:] == MAGIC, "it is no segment, or it is cut off")
        offset, count, version, zero, checksum = struct.unpack("<QQIIQ", data[-40:-8])
        require(version == VERSION, f"it is of version {version}, this reads {VERSION}")
        require(data[8:16] == struct.pack("<II", version, 0) and zero == 0, "its header differs from its trailer")
        require(offset + count + 40 == len(data), "its trailer does not fit the file")
        require(xxh3(data[offset:-16]) == checksum, "the checksum of its footer differs")
        footer = Bytes(data[offset:offset + count])
        self.states = json.loads(footer.counted())
        self.statistics = []
        for _ in self.states:
            entries, tombstones, plain = footer.number("Q"), footer.number("Q"), footer.number("Q")
            self.statistics.append((entries, tombstones, plain, footer.counted(), footer.counted()))
        self.blocks = []
        place = 16
        for _ in range(footer.number("I")):
            state, stored, filtered = footer.number("H"), footer.number("I"), footer.number("I")
            plain, entries, checksum = footer.number("I"), footer.number("I"), footer.number("Q")
            self.blocks.append((state, place, stored, filtered, plain, entries, checksum, footer.counted()))
            place += stored + filtered
        require(footer.at == count and place == offset, "its blocks do not fill the file")

    def entries(self, state):
        """Kind, key, bytes of the row and value of each entry of a state."""
        found, tombstones, plain, first, last = 0, 0, 0, b"", b""
        for kind, key, row, value in self._entries(state):
            require(found == 0 or last < key, "its keys are not in order")
            first = key if found == 0 else first
            found, plain, last = found + 1, plain + len(key) + len(value), key
            tombstones += kind != PUT
            yield kind, key, row, value
        counted = (found, tombstones, plain, first, last)
        require(counted == self.statistics[state], "a state is not what the footer says")

    def _entries(self, wanted):
        for state, place, stored, filtered, plain, entries, checksum, first in self.blocks:
            if state != wanted:
                continue
            block = self.data[place:place + stored]
            stands = struct.unpack("<Q", block[-8:])[0]
            require(xxh3(block[:-8]) == checksum == stands, "the checksum of a block differs")
            header = struct.unpack("<IIIHH", block[:16])
            require(header[:4] == (stored - 24, plain, entries, state), "the header of a block differs from the index")
            require(header[4] in (0, 1), "a block is compressed in an unknown way")
            content = Bytes(decompress(block[16:-8], plain) if header[4] == 1 else block[16:-8])
            if filtered:
                behind = self.data[place + stored:place + stored + filtered]
                require(xxh3(behind[:-8]) == struct.unpack("<Q", behind[-8:])[0], "the checksum of a filter differs")
            key, row = b"", None
            for number in range(entries):
                shared, rest, size = content.varint(), content.varint(), content.varint()
                shared, has_row, size, kind = shared >> 1, shared & 1, size >> 2, size & 3
                require(shared <= len(key), "an entry shares more than there is")
                length = content.varint() if has_row else row if row is not None and shared >= row else shared + rest
                row = length
                key = key[:shared] + content.take(rest)
                value = content.take(size)
                require(number > 0 or key == first, "a block does not begin as the index says")
                is_kind = kind == PUT or kind in (TOMBSTONE, ROW_TOMBSTONE) and not value
                require(is_kind, "an entry is of no kind")
                require(row <= len(key), "a row is longer than its key")
                yield kind, key, row, value
            require(content.at == len(content.data), "bytes follow the last entry of a block")


def print_entry(state, key, value, kind=PUT, row=None):
    line = {"operator": state["operator"], "state": state["name"]}
    if row is not None:
        line["kind"] = ("put", "tombstone", "rowTombstone")[kind]
        line["row"] = row
    line["key"] = key.hex()
    if kind == PUT:
        line["value"] = value.hex()
    print(json.dumps(line))


def read_segment(path):
    segment = Segment(path)
    for index, state in enumerate(segment.states):
        for kind, key, row, value in segment.entries(index):
            print_entry(state, key, value, kind, row)


def read_metadata(directory):
    with open(os.path.join(directory, "_metadata"), "rb") as file:
        data = file.read()
    require(data[-22:] == b"xxh3 %016x\n" % xxh3(data[:-22]), "the checksum of the metadata differs")
    metadata = json.loads(data[:-22])
    require(metadata["formatVersion"] == METADATA_VERSION, "the metadata is of another version")
    return metadata


def read_snapshot(directory):
    directory = directory.rstrip("/") or "/"
    metadata = read_metadata(directory)
    own = f"chk-{metadata['checkpoint']}/"
    files = []
    for file in metadata["files"]:
        name = file["path"]
        path = os.path.join(directory, name[len(own):]) if name.startswith(own) else os.path.join(directory, "..", name)
        try:
            segment = Segment(path)
            require(len(segment.data) == file["byteCount"], "it has another size")
            require("%016x" % xxh3(segment.data) == file["checksum"], "the checksum of the file differs")
        except Damage as damage:
            raise Damage(f"{path}: {damage}") from None
        files.append((file, segment))
    states = {}
    for _, segment in files:
        for state in segment.states:
            states.setdefault((state["operator"], state["name"]), state)
    for identity in sorted(states):
        for key, value in sorted(merge(states[identity], files)):
            print_entry(states[identity], key, value)


def merge(state, files):
    """What is there of a state: from the oldest layer to the newest, each changes what those before it have left."""
    found = {}
    for sequence in sorted({file.get("sequence", 0) for file, _ in files}):
        rows, changes = set(), {}
        for file, segment in files:
            index = next((place for place, other in enumerate(segment.states) if
                          (other["operator"], other["name"]) == (state["operator"], state["name"])), None)
            if index is None or file.get("sequence", 0) != sequence:
                continue
            start, end = file.get("keyGroups", (0, 65536)) if state["kind"] in KEYED else (0, 65536)
            for kind, key, _, value in segment.entries(index):
                if state["kind"] in KEYED and not start <= int.from_bytes(key[:2], "big") < end:
                    continue
                require(kind == PUT or sequence > 0, "a tombstone in a file that lies over no other")
                if kind == ROW_TOMBSTONE:
                    rows.add(key)
                elif key not in changes:
                    changes[key] = value if kind == PUT else None
                else:
                    require(state["kind"] == "broadcast", "two files of one age have the same key")
        if rows:
            lengths = {len(row) for row in rows}
            found = {key: value for key, value in found.items() if not any(key[:size] in rows for size in lengths)}
        found.update(changes)
    return [(key, value) for key, value in found.items() if value is not None]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        (read_snapshot if os.path.isdir(sys.argv[1]) else read_segment)(sys.argv[1])
    except (Damage, OSError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")


if __name__ == "__main__":
    main()
