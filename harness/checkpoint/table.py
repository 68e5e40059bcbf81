"""Sorted tables of keys and values as LevelDB and TensorFlow write them, and the protocol buffers that are the values.

The formats: github.com/google/leveldb, doc/table_format.md, and protobuf.dev/programming-guides/encoding. A block's
checksum is CRC-32C, masked; it is verified, so that a damaged index is noticed.
"""

from __future__ import annotations

from typing import Any, TypeVar

from harness.checkpoint.checksum import crc32c, masked

MAGIC = 0xDB4775248B80FB57
END = MAGIC.to_bytes(8, "little")
"""The last bytes of a table."""

FOOTER = 48
"""Bytes: the places of two blocks, padding, the magic number."""

TRAILER = 5
"""Bytes behind a block: its compression, and its checksum."""

Fields = dict[int, list[Any]]
"""The values of a message by the fields' numbers: whole numbers, and the bytes of values with a length."""

T = TypeVar("T")


def entries(content: bytes) -> dict[str, bytes]:
    """Return the keys and values of a table.

    Raises:
        ValueError: if it is none, or damaged.
    """
    if len(content) < FOOTER or content[-len(END) :] != END:
        raise ValueError("it does not end like a table; it may be truncated")
    footer = content[-FOOTER:]
    at = 0
    for _ in range(2):  # the metaindex block, which is not needed
        _, at = _varint(footer, at)
    offset, at = _varint(footer, at)
    size, at = _varint(footer, at)
    found: dict[str, bytes] = {}
    left = len(content)
    for _, place in _block(content, offset, size):
        offset, at = _varint(place, 0)
        size, at = _varint(place, at)
        left -= size
        if left < 0:
            raise ValueError("its blocks overlap")
        found |= {key.decode(): value for key, value in _block(content, offset, size)}
    return found


def _block(content: bytes, offset: int, size: int) -> list[tuple[bytes, bytes]]:
    block = content[offset : offset + size]
    trailer = content[offset + size : offset + size + TRAILER]
    if len(block) != size or len(trailer) != TRAILER:
        raise ValueError("a block of it ends past its end")
    if trailer[0] != 0:
        raise ValueError(f"a block of it is compressed (way {trailer[0]}), which TensorFlow's writer never does")
    if masked(crc32c(block + trailer[:1])) != int.from_bytes(trailer[1:], "little"):
        raise ValueError("a block of it is damaged: it has another checksum")
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise ValueError("a block of it is damaged")
    found, key, at = [], b"", 0
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + own + length > end:
            raise ValueError("a block of it is damaged")
        key = key[:shared] + block[at : at + own]
        found.append((key, block[at + own : at + own + length]))
        at += own + length
    return found


def fields_of(message: bytes) -> Fields:
    """Return the fields of a protocol buffer.

    Raises:
        ValueError: if it is damaged.
    """
    fields: Fields = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: Any
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
            case 1 | 5 as wire:
                width = 8 if wire == 1 else 4
                value, at = message[at : at + width], at + width
            case 2:
                length, at = _varint(message, at)
                value, at = message[at : at + length], at + length
            case other:
                raise ValueError(f"a message in it has a field of the kind {other}")
        if at > len(message):
            raise ValueError("a message in it ends past its end")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def first(fields: Fields, number: int, default: T) -> T:
    """Return the value of a field, or the default."""
    value = fields.get(number, [default])[0]
    if not isinstance(value, type(default)):
        raise ValueError(f"field {number} of a message in it is of another kind")
    return value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            break
        value |= (content[at] & 0x7F) << shift
        at += 1
        if content[at - 1] < 0x80:
            return value, at
    raise ValueError("a number in it does not end")
