"""CRC-32C, the checksum of LevelDB's blocks and of the tensors in a TensorFlow checkpoint.

A checksum is linear in its bits. A long text is therefore cut into lanes, which NumPy computes side by side. Their
checksums are then combined: the checksum of each lane is moved along by as many zero bytes as follow it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy import ndarray

POLYNOMIAL = 0x82F63B78
"""Castagnoli's, its bits reversed."""

LANES = 4096
ONES = 0xFFFFFFFF


def masked(checksum: int) -> int:
    """Rotate a checksum right by 15 bits and add a constant, as LevelDB and TensorFlow do."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & ONES


def crc32c(content: bytes) -> int:
    """Return the checksum of bytes."""
    words = len(content) // (2 * LANES)  # of 16 bits, in each lane
    whole = ONES
    if words:
        table = _table_of_words()
        lanes = np.frombuffer(content, "<u2", LANES * words).reshape(LANES, words)
        checksums = np.zeros(LANES, np.uint32)
        for column in np.ascontiguousarray(lanes.T):  # (LANES,): one word of every lane
            checksums = table[(checksums ^ column) & 0xFFFF] ^ (checksums >> 16)
        moved = _moved_by(2 * words)
        for own in checksums.tolist():
            whole = _applied(moved, whole) ^ own
    return _continued(whole, content[2 * LANES * words :]) ^ ONES


def _continued(checksum: int, content: bytes) -> int:
    table = _table()
    for byte in content:
        checksum = table[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    return checksum


@cache
def _table() -> list[int]:
    """Return the checksums of the 256 single bytes."""
    return [_shifted(byte, 8) for byte in range(256)]


@cache
def _table_of_words() -> ndarray:
    """Return the checksums of the 65,536 words of two bytes, (65536,) of uint32."""
    table = np.arange(2**16, dtype=np.uint32)
    for _ in range(16):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1)
    return table


def _shifted(bits: int, times: int) -> int:
    for _ in range(times):
        bits = (bits >> 1) ^ (POLYNOMIAL if bits & 1 else 0)
    return bits


def _applied(columns: list[int], bits: int) -> int:
    """Return the product of a matrix over two elements, by its columns, and a vector of 32 bits."""
    product = 0
    for column in columns:
        if bits & 1:
            product ^= column
        bits >>= 1
    return product


def _moved_by(length: int) -> list[int]:
    """Return the matrix that moves a checksum along by so many zero bytes, by its 32 columns."""
    moved = [1 << bit for bit in range(32)]
    power = [_shifted(1 << bit, 8) for bit in range(32)]  # by 1, 2, 4, ... bytes
    while length:
        if length & 1:
            moved = [_applied(power, column) for column in moved]
        power = [_applied(power, column) for column in power]
        length >>= 1
    return moved
