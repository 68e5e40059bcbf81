"""The command that repeats a report, read from ``environment.json``, which is untrusted.

The command is shown for a person to type. So it is parsed, checked against the commands that write reports, and put
together again. If it is anything else, the plain command is shown instead.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.casefile.typed import called, quoted, word

LONGEST = 4096
"""Maximum length of a path in a command, in characters."""

_TEXT = r"[^-].*"
_NUMBER = r"-?\d+(\.\d*)?(e[+-]?\d+)?"

_COMMANDS: dict[str, tuple[int, dict[str, str | None]]] = {
    "run": (0, {"--weights": _TEXT, "--layer": _TEXT, "--ignore": _TEXT, "--baseline": _TEXT}),
    "check": (1, {"--require-all": None, "--baseline": _TEXT, "--limit": _NUMBER}),
    "port": (
        2,
        {
            "--to": r"torch|keras|tf1|npz",
            "--layer": _TEXT,
            "--layout": r"split|torch|keras|tf1",
            "--cell": r"rnn|gru|lstm",
            "--activation": r"\w+",
            "--recurrent-activation": r"\w+",
            "--forget-bias": _NUMBER,
            "--reset": r"before|after",
            "--ignore": _TEXT,
        },
    ),
}
"""The commands that may be repeated: the count of operands, and the options, each with the form of its value.

An option without a value has None. Every option that changes the content of a report is here.
"""

_OPERAND = {"check": r".+\.py(:\w+)?"}


@dataclass(frozen=True)
class Again:
    """A command that repeats a report.

    Attributes:
        words: the command, each word as it is and not as it is typed.
    """

    words: tuple[str, ...]

    @property
    def typed(self) -> str:
        """The command as it is typed, without a case."""
        return shlex.join(self.words)

    def for_case(self, name: str, implementation: str = "") -> str:
        """Return the command for one case, as it is typed; a port has no case, so its command alone.

        Args:
            name: the case.
            implementation: the one implementation to run, if the command has an option for it.
        """
        if self.words[1] == "port":
            return self.typed
        if "--" in self.words:
            return f"{self.typed} {quoted(name)}"
        alone = f"--impl {word(implementation)}" if implementation and self.words[1] == "run" else ""
        return called(self.typed, quoted(name), alone)


PLAIN = Again(("harness", "run"))


def again(environment: Mapping[str, Any]) -> Again:
    """Return the command that repeats a report; the plain one if the report has none of the harness."""
    typed = environment.get("again")
    if not isinstance(typed, str):
        return PLAIN
    try:
        words = shlex.split(typed)
    except ValueError:  # a quotation that does not end
        return PLAIN
    return Again(tuple(words)) if _is_ours(words) else PLAIN


def _is_ours(words: list[str]) -> bool:
    if words[:1] != ["harness"] or len(words) < 2 or words[1] not in _COMMANDS:
        return False
    count, options = _COMMANDS[words[1]]
    operands, rest, dashed = [], words[2:], False
    while rest:
        word = rest.pop(0)
        if word == "--" and not dashed:
            dashed = True
        elif word in options and not dashed:
            form = options[word]
            if form is not None and (not rest or not _is_value(rest.pop(0), form)):
                return False
        elif (dashed or word[:1] != "-") and _is_value(word, _OPERAND.get(words[1], r".+")):
            operands.append(word)
        else:
            return False
    return len(operands) == count


def _is_value(word: str, form: str) -> bool:
    return len(word) <= LONGEST and word.isprintable() and re.fullmatch(form, word) is not None
