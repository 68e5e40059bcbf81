"""Messages between the harness and a worker process: a JSON header and the bytes of arrays, over a pair of pipes.

    8 bytes    length of the header, little-endian
    header     JSON: the message, and under "arrays" the name, dtype and shape of each array that follows
    arrays     their bytes, C order, one after the other

Nothing is pickled, so that reading a message runs no code, whoever wrote it.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import select
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

_LENGTH = struct.Struct("<Q")
MAX_HEADER_BYTES = 2**30
PIPE_BYTES = 2**20


class ChannelClosedError(Exception):
    """The other end is gone."""


class ChannelTimeoutError(Exception):
    """The other end did not answer in time."""


@dataclass(frozen=True)
class Message:
    """A header of plain data, and arrays by name."""

    header: Mapping[str, Any]
    arrays: Mapping[str, ndarray]


def described(header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> tuple[bytes, list[bytes | memoryview]]:
    """Return a message as bytes: its header with its length before it, and the bytes of each array."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in contiguous.items()]
    encoded = json.dumps({**header, "arrays": listed}).encode()
    buffers = [array.reshape(-1).view(np.uint8).data if array.size else b"" for array in contiguous.values()]
    return _LENGTH.pack(len(encoded)) + encoded, buffers


def decoded(content: memoryview) -> Message:
    """Return the message that is whole in these bytes; its arrays share them."""
    (length,) = _LENGTH.unpack(content[: _LENGTH.size])
    start = _LENGTH.size + length
    header = json.loads(bytes(content[_LENGTH.size : start]))
    arrays = {}
    for name, dtype, shape in header.pop("arrays"):
        end = start + np.dtype(dtype).itemsize * math.prod(shape)
        arrays[name] = np.frombuffer(content[start:end], dtype).reshape(shape)
        start = end
    return Message(header, arrays)


def widen(pipe: int) -> None:
    """Let a pipe hold most arrays whole, where the system can, so that neither end waits for the other midway."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux
        with suppress(OSError):  # this user's pipes hold as much as they may
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class Channel:
    """One end of a pair of pipes.

    Args:
        receiving: the file descriptor to read from.
        sending: the file descriptor to write to.
    """

    def __init__(self, receiving: int, sending: int) -> None:
        self.receiving = receiving
        self.sending = sending
        os.set_blocking(sending, False)

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

    def receive(self, *, timeout: float = math.inf) -> Message:
        """Wait for a message.

        Raises:
            ChannelClosedError: if the other end is gone, or sends something that is no message.
            ChannelTimeoutError: if no whole message came within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        if length > MAX_HEADER_BYTES:
            raise ChannelClosedError("it sent something that is no message")
        header = json.loads(bytes(self._read(length, deadline)))
        arrays = {}
        for name, dtype, shape in header.pop("arrays"):
            buffer = self._read(np.dtype(dtype).itemsize * math.prod(shape), deadline)
            arrays[name] = np.frombuffer(buffer, dtype).reshape(shape)
        return Message(header, arrays)

    def close(self) -> None:
        """Close this end."""
        for descriptor in (self.receiving, self.sending):
            os.close(descriptor)

    def _read(self, size: int, deadline: float) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            self._wait(self.receiving, select.POLLIN, deadline)
            count = os.readv(self.receiving, [view])
            if count == 0:
                raise ChannelClosedError("it ended")
            view = view[count:]
        return buffer

    def _write(self, data: bytes | memoryview, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self.sending, select.POLLOUT, deadline)
            try:
                view = view[os.write(self.sending, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise ChannelClosedError("it ended") from None

    @staticmethod
    def _wait(descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poll.poll(None if math.isinf(remaining) else max(1, remaining * 1000)):
            raise ChannelTimeoutError
