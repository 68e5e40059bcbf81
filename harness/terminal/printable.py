"""Text that a terminal shows and does not obey: control characters as escapes."""

from __future__ import annotations

import re

_OBEYED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f"  # C0 without tab and newline: ESC begins sequences, BEL rings, CR goes back over the line
    "\x7f-\x9f"  # DEL and C1, which has one-character forms of CSI and OSC
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates, which show text in another order
    "\ud800-\udfff"  # lone surrogates, which no encoding holds
    "]"
)


def printable(text: str) -> str:
    r"""Return text with every character that a terminal would obey as its escape, such as ``\x1b``."""
    return _OBEYED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
