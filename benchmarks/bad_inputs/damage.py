"""Damage to bytes like that of files, and to texts like mistyping."""

from __future__ import annotations

import random

LINES = (
    b"\t",
    b"\xef\xbb\xbf",
    b"\x00",
    b"\xff\xfe",
    b"---\n",
    b"...\n",
    b"&a [*a]\n",
    b"!!python/object:os.system ls\n",
    b"? [1, 2]\n",
    b"<<: {a: 1}\n",
    b"- \n",
    b": \n",
    b"%YAML 9.9\n",
    b"\r",
    b"\xe2\x80\xa8",
    b'"\\ud800"\n',
    b'about: "=1+1\\0"\n',
    b"\xed\xa0\x80",
    b"\x1b[2J",
    b"[" * 200,
    b"{" * 2000,
    b"'",
    b"9" * 500,
)
"""Lines that are inserted into a file."""


def damaged(content: bytes, random: random.Random) -> bytes:
    """Return content after one to three random changes."""
    for _ in range(random.randint(1, 3)):
        content = random.choice(WAYS)(content, random)
    return content


def _place(content: bytes, random: random.Random) -> int:
    return random.randint(0, len(content))


def _cut(content: bytes, random: random.Random) -> bytes:
    return content[: _place(content, random)]


def _without(content: bytes, random: random.Random) -> bytes:
    first, last = sorted(_place(content, random) for _ in range(2))
    return content[:first] + content[last:]


def _twice(content: bytes, random: random.Random) -> bytes:
    first = _place(content, random)
    last = min(len(content), first + random.randint(1, 200))
    return content[:last] + content[first:]


def _flipped(content: bytes, random: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.randint(1, 8) if changed else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _inserted(content: bytes, random: random.Random) -> bytes:
    at = _place(content, random)
    return content[:at] + random.choice(LINES) + content[at:]


def _noise(content: bytes, random: random.Random) -> bytes:
    at = _place(content, random)
    return content[:at] + random.randbytes(random.randint(1, 40)) + content[at:]


def _line_moved(content: bytes, random: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        lines.insert(random.randint(0, len(lines)), lines.pop(random.randrange(len(lines))))
    return b"".join(lines)


def _indented(content: bytes, random: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        at = random.randrange(len(lines))
        lines[at] = random.choice([b" ", b"\t", b"  - "]) + lines[at]
    return b"".join(lines)


def _recoded(content: bytes, random: random.Random) -> bytes:
    text = content.decode(errors="replace")
    return text.encode(random.choice(["utf-16", "utf-32", "utf-8-sig", "latin-1", "utf-7"]), errors="replace")


def _random(content: bytes, random: random.Random) -> bytes:
    return random.randbytes(random.randint(0, max(1, len(content))))


WAYS = (_cut, _without, _twice, _flipped, _inserted, _noise, _line_moved, _indented, _recoded, _random)
