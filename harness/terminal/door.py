"""The one way for text to the terminal: standard output and standard error, made safe."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from harness.terminal.printable import printable


class Door:
    r"""A text stream in front of another.

    It writes control characters as escapes, and also characters that the stream's encoding lacks. If the stream can no
    longer be written, because its reader is gone or its disk is full, the door discards text and raises nothing.

    It has no ``buffer``, since bytes would not be checked.

    Args:
        stream: The stream behind.
        descriptor: The stream's file descriptor. Text is written to it and not to the stream's own buffer, so no text
            is left that could fail to be written when the process ends. None to write to the stream.

    Attributes:
        encoding: The stream's encoding; UTF-8 if it has none.
        errors: The treatment of characters that the encoding lacks.
        lost: The error that ended writing; None while it works.
        styled: The same stream for text with the harness's own colours and cursor movements.
    """

    def __init__(self, stream: TextIO, descriptor: int | None = None) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.errors = "backslashreplace"
        self.lost: OSError | None = None
        self.styled = _Styled(self)
        self._descriptor = descriptor

    def __getattr__(self, name: str) -> Any:
        if name in ("buffer", "detach", "reconfigure"):
            raise AttributeError(f"a door has no {name}: what is written must be text")
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, with escapes for characters that a terminal would obey."""
        self.pass_on(printable(text))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        """Write each line."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream; text for a file descriptor is written already."""
        if self._descriptor is None:
            self._stream.flush()

    def pass_on(self, text: str) -> None:
        """Write text as it is."""
        data = text.encode(self.encoding, self.errors)
        if self._descriptor is None:
            self._stream.write(data.decode(self.encoding))
            return
        waiting = memoryview(data)
        while waiting and self.lost is None:
            try:
                waiting = waiting[os.write(self._descriptor, waiting) :]
            except BlockingIOError:  # another process made the pipe non-blocking
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        self.lost = error
        with suppress(OSError):  # later writes to the descriptor, by libraries or at the end, are discarded
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, cast(int, self._descriptor))
            os.close(nowhere)


class _Styled:
    """A door's stream for text of ``rich``, which styles what is already printable."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door, name)

    def write(self, text: str) -> int:
        """Write text as it is."""
        self._door.pass_on(text)
        return len(text)


@contextmanager
def opened() -> Iterator[tuple[Door, Door]]:
    """Put doors in front of standard output and standard error; yield both."""
    _fill_descriptors()
    before = sys.stdout, sys.stderr
    out, err = (_in_front_of(stream or _nowhere()) for stream in before)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield out, err
    finally:
        sys.stdout, sys.stderr = before


def _in_front_of(stream: TextIO) -> Door:
    try:
        stream.flush()
        # A console of Windows shows text, and takes bytes for those of an old code page.
        return Door(stream, None if sys.platform == "win32" and stream.isatty() else stream.fileno())
    except (OSError, AttributeError):  # a stream in memory has no descriptor
        return Door(stream)


def _fill_descriptors() -> None:
    """Open descriptors 0 to 2 if they are closed: the next file that is opened would receive the output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - for as long as the process lasts
