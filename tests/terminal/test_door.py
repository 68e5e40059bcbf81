"""Text that reaches a terminal, and output that cannot be written."""

import errno
import io
import os
import sys
import unicodedata

import pytest

from harness.terminal import Door, opened, printable, write_json

OBEYED = {
    "colour": "\x1b[31m",
    "window title": "\x1b]0;owned\x07",
    "hyperlink": "\x1b]8;;http://x\x07here\x1b]8;;\x07",
    "one-character CSI": "\x9b2J",
    "one-character OSC": "\x9d0;owned\x9c",
    "carriage return": "mismatch\rmatch   ",
    "backspace": "mis\b\b\bmatch",
    "delete": "\x7f",
    "null": "\x00",
    "override of direction": "\u202ehctam\u202c",
    "isolate": "\u2067a\u2069",
    "lone surrogate": "\udc80",
}


@pytest.mark.parametrize("text", OBEYED.values(), ids=OBEYED)
def test_what_a_terminal_would_obey_is_shown(text):
    shown = printable(f"before {text} after\n\tnext")
    assert shown.startswith("before ")
    assert shown.endswith(" after\n\tnext")
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"]
    assert shown.encode().decode("unicode-escape", "surrogatepass") == f"before {text} after\n\tnext"


def test_text_that_no_terminal_obeys_stays_as_it_is():
    text = "δ Wᵀ ≤ 1e−6, naïve Größe 名前 🙂\n\tעברית"
    assert printable(text) == text


@pytest.fixture
def unread():
    """A stream into a pipe that nothing reads."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield stream


@pytest.fixture
def full():
    """A stream to a disk that is full."""
    with open("/dev/full", "w", encoding="utf-8") as stream:  # noqa: PTH123
        yield stream


@pytest.mark.parametrize(("behind", "error"), [("unread", errno.EPIPE), ("full", errno.ENOSPC)])
def test_a_stream_that_cannot_be_written_is_noted_and_raises_nothing(request, monkeypatch, behind, error):
    stream = request.getfixturevalue(behind)
    monkeypatch.setattr(sys, "stdout", stream)
    with opened() as (out, _):
        print("first")
        print("second", flush=True)
    assert out.lost is not None
    assert out.lost.errno == error
    stream.write("what a library still writes")
    stream.flush()


def test_a_pipe_that_does_not_wait_gets_everything(monkeypatch):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "x" * 200_000
    got = bytearray()

    def wait(*_):
        got.extend(os.read(reading, 1 << 16))
        return [], [writing], []

    monkeypatch.setattr("harness.terminal.door.select.select", wait)
    with os.fdopen(writing, "w") as stream:
        Door(stream, writing).write(text)
    while part := os.read(reading, 1 << 16):
        got += part
    os.close(reading)
    assert got.decode() == text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_encoding_gets_every_character_or_its_escape(encoding):
    behind = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    Door(behind).write("é − ᵀ\n")
    behind.flush()
    written = behind.buffer.getvalue().decode(encoding)
    assert written.encode("latin-1", "backslashreplace").decode("unicode-escape") == "é − ᵀ\n"


def test_json_is_ascii_and_has_no_number_that_json_lacks(capsys):
    value = {"δ": ["\x1b]0;\x07", "\x7f\x9b\udc80", 1.5, float("nan")], "more": (float("inf"), -float("inf"), None)}
    write_json(value)
    text = capsys.readouterr().out
    assert text.isascii()
    assert printable(text) == text

    def refused(constant):
        pytest.fail(f"{constant} is no JSON")

    import json

    assert json.loads(text, parse_constant=refused) == {
        "δ": ["\x1b]0;\x07", "\x7f\x9b\udc80", 1.5, "NaN"],
        "more": ["Infinity", "-Infinity", None],
    }


def test_bytes_do_not_pass_the_door():
    door = Door(sys.stdout)
    assert not hasattr(door, "buffer")
    with pytest.raises(TypeError):
        door.write(b"\x1b]0;owned\x07")


@pytest.mark.parametrize(("platform", "written"), [("win32", "δ"), ("linux", "")])
def test_a_console_of_windows_gets_text_and_no_bytes(monkeypatch, platform, written):
    read, write = os.pipe()

    class Console(io.StringIO):
        def fileno(self):
            return write

        def isatty(self):
            return True

    console = Console()
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "stdout", console)
    with opened() as (out, _):
        out.write("δ")
    os.close(write)
    assert console.getvalue() == written
    assert os.read(read, 10).decode() == ("" if written else "δ")
    os.close(read)
