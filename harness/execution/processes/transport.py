"""Messages between the harness and a worker process: a JSON header and the bytes of arrays, over a pair of pipes.

    8 bytes    length of the header, little-endian
    header     JSON: the message, and under "arrays" the name, dtype and shape of each array that follows
    arrays     their bytes, C order, one after the other

Nothing is pickled, so that reading a message runs no code. The code of a user can write to the pipe
as well as ours, so a header is checked before anything is allocated for the arrays, and a buffer grows with the bytes
that arrive.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from harness.execution.processes.chatter import Chatter
from harness.system import Pipes
from harness.terminal.text import fit, fit_throughout

_LENGTH = struct.Struct("<Q")

MAX_HEADER_BYTES = 2**26
"""Bytes of a header. The texts in it are bounded where they are made, so that none of ours comes near."""

MOST_UNASKED = 2**28
"""Bytes of arrays that a message may hold without a look at how much memory is free."""

MEMORY_SHARE = 0.5
"""The share of the free memory that a message may take."""

FIRST_BYTES = 2**24
"""Bytes that are allocated before any have arrived."""

MAX_DIMENSIONS = 32
_DTYPE = re.compile(r"[<>|][biuf]\d{1,2}")
"""A dtype as NumPy writes it: of real numbers or truth values, which is all that a message holds."""


class ChannelClosedError(Exception):
    """The other end is gone."""


class ChannelTimeoutError(Exception):
    """The other end did not answer in time."""


class NotAMessage(ChannelClosedError):
    """The other end sent something that is no message, and nothing after it can be read; the text says why."""

    def __init__(self, why: str) -> None:
        super().__init__(f"no message: {why}")


@dataclass(frozen=True)
class Message:
    """A header of plain data, and arrays by name."""

    header: Mapping[str, Any]
    arrays: Mapping[str, ndarray]


class _Announced(NamedTuple):
    """An array as a header announces it."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int

    def of(self, content: bytearray | memoryview) -> ndarray:
        """Return the array that has these bytes, and shares them."""
        return np.frombuffer(content, self.dtype).reshape(self.shape)


def described(header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> tuple[bytes, list[bytes | memoryview]]:
    """Return a message as bytes: its header with its length before it, and the bytes of each array."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in contiguous.items()]
    encoded = json.dumps({**header, "arrays": listed}).encode()
    buffers = [array.reshape(-1).view(np.uint8).data if array.size else b"" for array in contiguous.values()]
    return _LENGTH.pack(len(encoded)) + encoded, buffers


def decoded(content: memoryview) -> Message:
    """Return the message that is whole in these bytes; its arrays share them.

    Raises:
        NotAMessage: if they are none.
    """
    if len(content) < _LENGTH.size:
        raise NotAMessage(f"it has {len(content)} bytes")
    (length,) = _LENGTH.unpack(content[: _LENGTH.size])
    start = _LENGTH.size + length
    if start > len(content):
        raise NotAMessage(f"its header should have {length:,} bytes, but it has {len(content):,} in all")
    header, announced = _taken_apart(bytes(content[_LENGTH.size : start]))
    if (whole := start + sum(each.size for each in announced)) != len(content):
        raise NotAMessage(f"it should have {whole:,} bytes, but has {len(content):,}")
    arrays = {}
    for each in announced:
        arrays[each.name] = each.of(content[start : start + each.size])
        start += each.size
    return Message(header, arrays)


def _taken_apart(encoded: bytes | bytearray) -> tuple[dict[str, Any], list[_Announced]]:
    """Return the header in these bytes, and the arrays that it announces.

    Raises:
        NotAMessage: if it is no header, or announces something that is no array.
    """
    try:
        header = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise NotAMessage(f"its header is no JSON: {fit(str(error), 200)}") from None
    if not isinstance(header, dict) or not isinstance(header.get("arrays"), list):
        raise NotAMessage("its header should be an object that lists arrays")
    announced = [_announced(each) for each in header.pop("arrays")]
    if len({each.name for each in announced}) < len(announced):
        raise NotAMessage("it announces two arrays of one name")
    return header, announced


def _announced(entry: Any) -> _Announced:
    match entry:
        case [str(name), str(dtype), list(shape)]:
            pass
        case _:
            raise NotAMessage(f"an array should be announced as [name, dtype, shape], but is {fit(repr(entry), 200)}")
    try:
        kind = np.dtype(dtype) if _DTYPE.fullmatch(dtype) else None
    except TypeError:  # a size that there is not
        kind = None
    if kind is None:
        raise NotAMessage(f"{fit(dtype, 100)!r} is no dtype of real numbers")
    sizes = [each for each in shape if type(each) is int and each >= 0]
    extent = kind.itemsize * math.prod(max(1, each) for each in sizes)
    if len(sizes) < len(shape) or len(shape) > MAX_DIMENSIONS or extent >= 2**62:
        raise NotAMessage(f"{fit(repr(shape), 200)} is no shape")
    return _Announced(name, kind, tuple(shape), kind.itemsize * math.prod(shape))


def _check_memory(size: int) -> None:
    """Refuse more bytes of arrays than there is memory for.

    Raises:
        NotAMessage: if there is not.
    """
    if size <= MOST_UNASKED:
        return
    import psutil  # which is seldom needed, and by few processes

    if size > (free := MEMORY_SHARE * psutil.virtual_memory().available):
        raise NotAMessage(
            f"it announces {size / 2**30:,.1f} GiB of arrays, but {free / 2**30:,.1f} GiB of memory can be spared"
        )


class Channel:
    """One end of a pair of pipes.

    Args:
        receiving: the file descriptor to read from.
        sending: the file descriptor to write to.
        chatter: what the process at the other end prints, which is read while this end waits.
        at_end: what is called when the other end is gone, on a system that has no signal for it.
    """

    def __init__(
        self,
        receiving: int,
        sending: int,
        chatter: Chatter | None = None,
        at_end: Callable[[], object] | None = None,
    ) -> None:
        self.receiving = receiving
        self.sending = sending
        self._pipes = Pipes(receiving, sending, chatter, at_end)

    def widen(self) -> None:
        """Let the pipes hold most arrays whole, where the system can, so that neither end waits midway."""
        self._pipes.widen()

    def send(
        self, header: Mapping[str, Any], arrays: Mapping[str, ndarray] | None = None, *, timeout: float = math.inf
    ) -> None:
        """Send a message.

        Raises:
            ChannelClosedError: if the other end is gone.
            ChannelTimeoutError: if it did not take the message within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        encoded, buffers = described(header, arrays or {})
        for part in (encoded, *buffers):
            self._write(part, deadline)

    def answer(self, header: Mapping[str, Any], arrays: Mapping[str, ndarray] | None = None) -> None:
        """Send a message with texts of a user or a framework: each is made fit first.

        Raises:
            ChannelClosedError: if the other end is gone.
        """
        self.send(fit_throughout(header), arrays)

    def receive(self, *, timeout: float = math.inf) -> Message:
        """Wait for a message.

        Raises:
            ChannelClosedError: if the other end is gone.
            ChannelTimeoutError: if no whole message came within ``timeout`` seconds.
            NotAMessage: if the other end sends something else.
        """
        deadline = time.monotonic() + timeout
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        if length > MAX_HEADER_BYTES:
            raise NotAMessage(f"its header should have {length:,} bytes; at most {MAX_HEADER_BYTES:,}")
        header, announced = _taken_apart(self._read(length, deadline))
        _check_memory(sum(each.size for each in announced))
        return Message(header, {each.name: each.of(self._read(each.size, deadline)) for each in announced})

    def close(self) -> None:
        """Close this end."""
        for descriptor in (self.receiving, self.sending):
            os.close(descriptor)

    def abandon(self) -> None:
        """Point both descriptors at nothing, so that code with them can neither read nor disturb a message."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (self.receiving, self.sending):
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)

    def _read(self, size: int, deadline: float) -> bytearray:
        buffer, filled = bytearray(min(size, FIRST_BYTES)), 0
        while filled < size:
            if filled == len(buffer):
                buffer.extend(bytes(min(filled, size - filled)))  # as many again as have arrived
            with memoryview(buffer) as whole, whole[filled:] as rest:
                try:
                    count = self._pipes.take(rest, deadline)
                except TimeoutError:
                    raise ChannelTimeoutError from None
            if count == 0:
                raise ChannelClosedError("it ended")
            filled += count
        return buffer

    def _write(self, data: bytes | memoryview, deadline: float) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._pipes.give(view, deadline) :]
            except TimeoutError:
                raise ChannelTimeoutError from None
            except BrokenPipeError:
                raise ChannelClosedError("it ended") from None
