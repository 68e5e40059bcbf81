"""Words for a shell's command line: a name may have spaces and quotes, or begin like an option."""

from __future__ import annotations

import re
import shlex


def quoted(text: str) -> str:
    """Return a text in quotes, as one word of a shell."""
    typed = shlex.quote(text)
    return f"'{text}'" if typed == text else typed


def word(text: str) -> str:
    """Return a text as one word of a shell, in quotes if it needs them."""
    return text if re.fullmatch(r"[\w./-]+", text) else quoted(text)


def called(command: str, operand: str, options: str = "") -> str:
    """Return a call of a command for one case or file; options come first if the operand looks like one."""
    parts = [command, options, "--", operand] if operand.startswith(("-", "'-")) else [command, operand, options]
    return " ".join(filter(None, parts))
