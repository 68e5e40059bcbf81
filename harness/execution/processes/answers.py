"""The header of an answer, field by field: a process that runs a user's code may write anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.terminal.text import fit

Holds = Callable[[Any], bool]

OF_INTRODUCTION = ("versions", "seconds")
"""Fields of the message by which a process says that it is ready."""

OF_RESULT = ("seconds", "misfits", "untrained")
"""Fields of a result: all of them or none."""

OF_ANSWER = {
    "floor": ("source", "rounding", "reason"),
    "rounding_noise": ("noise",),
    "explain": ("diagnoses",),
    "cases": ("cases",),
    "load": ("cases", "mistakes"),
    "low precision": ("case", "judged", "diagnoses", "text"),
    "run": OF_RESULT,
}
"""Fields of an answer with the status ok, by the kind of question."""


def mistake(header: Mapping[str, Any], request: Mapping[str, Any] | None) -> str:
    """Return the mistake in the header of an answer, in one line; empty if there is none.

    Args:
        header: the header.
        request: what was asked; None for the message by which a process says that it is ready.
    """
    if request is None:
        return _mistake(header, OF_INTRODUCTION)
    if "do" not in request:
        return _mistake(header, ())
    needed = ["status"]
    if "seconds" in header:
        needed += OF_RESULT
    needed += OF_ANSWER.get(request["do"], ()) if header.get("status") == "ok" else ["reason"]
    return _mistake(header, needed)


def _mistake(header: Mapping[str, Any], needed: Iterable[str]) -> str:
    for name, value in header.items():
        if name in _FIELDS:
            holds, called = _FIELDS[name]
            if not holds(value):
                return f"{name!r} should be {called}, but is {fit(repr(value), 200)}"
    return next((f"its header has no {name!r}" for name in needed if name not in header), "")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _by_name(holds: Holds) -> Holds:
    return lambda value: isinstance(value, dict) and all(map(holds, value.values()))


def _each(holds: Holds) -> Holds:
    return lambda value: isinstance(value, list) and all(map(holds, value))


def _is_pair_of_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_text, value))


def _is_result(value: Any) -> bool:
    return isinstance(value, dict) and not _mistake(value, OF_RESULT)


def _is_judged(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and _is_text(value[0])
        and _each(lambda each: isinstance(each, int))(value[1])
        and _is_text(value[2])
    )


def _is_offer(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(_is_text(value.get(name)) for name in ("name", "function", "layout", "about", "recurrence"))
        and isinstance(value.get("line"), int | None)
        and isinstance(value.get("complete"), bool)
        and _by_name(_each(lambda each: isinstance(each, str | int | None)))(value.get("supports"))
        and (_is_text(value.get("rounds")) or _by_name(_is_text)(value.get("rounds")))
    )


_FIELDS: Mapping[str, tuple[Holds, str]] = {
    "status": (lambda value: value in ("ok", "unsupported", "error"), "ok, unsupported or error"),
    **dict.fromkeys(("reason", "detail", "untrained", "source", "refused", "text"), (_is_text, "a text")),
    "seconds": (_is_number, "a number"),
    **dict.fromkeys(("misfits", "versions"), (_by_name(_is_text), "texts by name")),
    **dict.fromkeys(("noise", "rounding"), (_by_name(_is_number), "numbers by name")),
    "remarks": (_each(_is_pair_of_texts), "a list of pairs of texts"),
    "second": (_is_result, "a result"),
    **dict.fromkeys(
        ("diagnoses", "cases", "mistakes", "recurrences"), (lambda value: isinstance(value, list), "a list")
    ),
    "judged": (_each(_is_judged), "a list of names, shapes and reasons"),
    "offered": (_each(_is_offer), "a list of implementations"),
}
"""For each field, how it is checked, and what it should be."""
