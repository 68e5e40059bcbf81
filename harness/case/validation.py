"""Validate the data of a case file: find every mistake at once, with its position and the right kind of value.

pydantic decides what is valid; this module translates pydantic's errors into the user's terms.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path as FilePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.case import checks, recurrent
from harness.case.alternatives import TAG
from harness.case.fields import (
    CELLS,
    OPTIMIZERS,
    SPEC_KEYS,
    SPEC_WORDS,
    TRUNCATIONS,
    Checkpoint,
    DrawOptions,
    Fields,
    Loss,
    RecurrenceFields,
    Sizes,
    Training,
    ValidCase,
)
from harness.casefile import Mistake, Path, listed, nearest
from harness.recurrences import Recurrence, recurrence_named, recurrences

MOST_MISTAKES = 100
"""Maximum number of mistakes that are reported for one case; a file with more is hardly a case file."""

Form = type[Fields] | type[RecurrenceFields]

Located = Callable[..., Mistake]
"""A function that makes a mistake of (path, problem, hint, at_key=…)."""


@cache
def adapter() -> TypeAdapter[Fields]:
    """Return the validator of a network's case, without its sweep."""
    return TypeAdapter(Fields)


@cache
def recurrence_adapter() -> TypeAdapter[RecurrenceFields]:
    """Return the validator of a recurrence's case, without its sweep."""
    return TypeAdapter(RecurrenceFields)


def refuse_invalid(case: ValidCase) -> None:
    """Refuse a case, made of data that was kept, whose fields no case file could have.

    Raises:
        ValueError: if there is such a field.
    """
    if case.recurrence is not None:
        recurrence_adapter().validate_json(json.dumps(recurrent.in_words(case)))
        return
    plain = case.to_plain()
    adapter().validate_json(json.dumps({name: plain[name] for name in _names(Fields)}))


def validated(
    data: Mapping[str, Any],
    name: str,
    file: FilePath,
    located: Located,
    weights: Mapping[str, Any] | None = None,
) -> tuple[ValidCase | None, list[Mistake]]:
    """Make a case of a file's data.

    Args:
        data: The data, without a sweep.
        name: The case's name.
        file: The file; its folder contains the array files.
        located: A function that makes a mistake at a path of ``data``.
        weights: A replacement for the weights; a checkpoint may then lie anywhere.

    Returns:
        The case and no mistakes, or None and every mistake.
    """
    if (recurrence := _meant(data)) is not None:
        return _of_recurrence(data, recurrence, name, file, located, weights)
    fields, found = _fields(Fields, data if weights is None else {**data, "weights": weights}, located)
    if fields is None:
        cell = data.get("cell")
        if isinstance(cell, str) and cell not in CELLS and not nearest(cell, CELLS):  # its sizes have other names
            found = {each for each in found if each.path == ("cell",)}
        return None, _in_order(found)
    problems = islice(checks.problems(fields, file.parent, anywhere=weights is not None), MOST_MISTAKES)
    found = {located(path, problem, hint) for path, problem, hint in problems}
    if found:
        return None, _in_order(found)
    return ValidCase(name=name, file=str(file), **vars(fields)), []


def _fields(of: Form, data: Mapping[str, Any], located: Located) -> tuple[Any, set[Mistake]]:
    """Return the fields that data has, or what is wrong with their form."""
    try:
        # JSON mode: strict about types, yet a mapping may stand for a dataclass and a list for a tuple.
        return (adapter() if of is Fields else recurrence_adapter()).validate_json(json.dumps(data)), set()
    except ValidationError as error:
        errors = [each for each in error.errors(include_url=False) if not _follows_from_another(each)]
        return None, {_mistake(each, located, of) for each in errors[:MOST_MISTAKES]}


def _meant(data: Mapping[str, Any]) -> Recurrence | None:
    """Return the recurrence that a case names, or nearly names; None for a network."""
    cell = data.get("cell")
    if not isinstance(cell, str) or cell in CELLS:
        return None
    hint = nearest(cell, [*CELLS, *recurrences()])
    others = ((name, each) for name, each in recurrences().items() if name not in CELLS)
    return recurrence_named(cell) or next((each for name, each in others if repr(name) in hint), None)


def _of_recurrence(
    data: Mapping[str, Any],
    recurrence: Recurrence,
    name: str,
    file: FilePath,
    located: Located,
    weights: Mapping[str, Any] | None,
) -> tuple[ValidCase | None, list[Mistake]]:
    """Make a case of the data of a recurrence's file; the arguments are those of ``validated``."""
    known = _names(RecurrenceFields)
    of_networks = [key for key in data if key in _names(Fields) and key not in known]
    why = f"is for networks of {listed(CELLS)}, and {recurrence.name} is a recurrence"
    found = {located((key,), why, "remove it", at_key=True) for key in of_networks}
    if weights is not None:
        found.add(located(("cell",), f"{recurrence.name} is a recurrence; a file of weights holds networks alone"))
    if data["cell"] != recurrence.name:
        found.add(_unknown_cell(data["cell"], located))
    own = {key: value for key, value in data.items() if key not in of_networks}
    fields, mistakes = _fields(RecurrenceFields, own, located)
    found |= mistakes
    if fields is None:
        return None, _in_order(found)
    case, problems = recurrent.read(fields, recurrence, name, str(file))
    found |= {located(path, problem, hint) for path, problem, hint in problems[:MOST_MISTAKES]}
    return (None, _in_order(found)) if found else (case, [])


def _unknown_cell(cell: str, located: Located) -> Mistake:
    there = "`harness list recurrences` shows them, and `harness check FILE.py CASE` also takes those of FILE.py"
    hint = nearest(cell, [*CELLS, *recurrences()]) or there
    return located(("cell",), f"{_shown(cell)} should be {', '.join(CELLS)} or the name of a recurrence", hint)


def _in_order(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Sort mistakes by their position in the file."""
    return sorted(mistakes, key=lambda each: (each.line or 0, each.column or 0, str(each)))


def _follows_from_another(error: Any) -> bool:
    """Return whether an error repeats another: pydantic reports a list of wrong items as a list without items, too."""
    return error["type"] == "too_short" and bool(error["input"])


_WORDING = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "dataclass_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "too_short": "a list that is not empty",
}


def _mistake(error: Any, located: Located, of: Form) -> Mistake:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    path: Path = tuple(part for part in error["loc"] if not _is_tag(part))
    should_be = hint = ""
    if kind == "missing" and isinstance(path[-1], int):  # a tuple that ends too soon: only uniform has one
        return located(path[:-1], f"{_shown(given)} should be [low, high]")
    if kind == "literal_error" and path == ("cell",) and isinstance(given, str):
        return _unknown_cell(given, located)
    if kind == "missing":
        return located(path, "this key is missing", _EXAMPLES.get(path, ""))
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        known = list(_keys_beside(error["loc"], of))
        hint = nearest(path[-1], known) or f"known here: {', '.join(known)}"
        return located(path, "unknown key", hint, at_key=True)
    if kind == "none_of_the_alternatives":
        should_be = error["msg"]
        names = given if isinstance(given, Mapping) else [given]
        valid: tuple[str, ...] = (*SPEC_WORDS, *SPEC_KEYS)
        if path == ("truncation",):
            names = [given.get("kind")] if isinstance(given, Mapping) else [given]
            valid = TRUNCATIONS
        elif path == ("training", "optimizer"):
            valid = OPTIMIZERS
        elif path == ("training",):
            valid = ("none",)
        hint = next(filter(None, (nearest(name, valid) for name in names)), "")
    elif kind == "literal_error":
        options = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        should_be, hint = listed(options), nearest(given, options)
    elif kind == "greater_than_equal":
        should_be = f"{context['ge']:g} or more"
    elif kind == "greater_than":
        should_be = f"above {context['gt']:g}"
    elif kind == "too_long":
        should_be = "[low, high]"
    elif kind in _WORDING:
        should_be = _WORDING[kind]
        hint = "without the quotes" if should_be.endswith("number") and _is_number(given) else ""
    else:
        return located(path, error["msg"])
    return located(path, f"{_shown(given)} should be {should_be}", hint)


_EXAMPLES: dict[Path, str] = {
    ("sizes",): "such as sizes: {batch: 2, time: 4, input: 3, hidden: 5}",
    ("truncation", "every"): "such as truncation: {kind: detach, every: 5}",
    ("truncation", "steps"): "such as truncation: {kind: window, steps: 4}",
    ("training", "steps"): "such as training: {steps: 10, optimizer: {sgd: {lr: 0.01}}}",
    ("training", "optimizer"): "such as optimizer: {sgd: {lr: 0.01}}",
    ("training", "optimizer", "sgd", "lr"): "such as sgd: {lr: 0.01}",
    ("training", "optimizer", "adam", "lr"): "such as adam: {lr: 0.01}",
}


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith(TAG[0]) and part.endswith(TAG[-1])


def _keys_beside(location: tuple[str | int, ...], of: Form) -> Iterator[str]:
    """The keys that are valid where an unknown one was found."""
    where = location[-2] if len(location) > 1 else None
    if where is None:
        yield from (*_names(of), "sweep")
    elif where == "draw":
        yield from DrawOptions.__annotations__
    elif location[0] == "tolerance":
        yield from ("rtol", "atol")
    elif where == "sizes":
        yield from _names(Sizes)
    elif where == "loss":
        yield from _names(Loss)
    elif location[0] == "truncation":
        yield from ("kind", "every" if where == TAG.format("detach") else "steps")
    elif location[0] == "training":
        inner = str(where).strip(TAG.format(""))
        yield from ("lr",) if where in OPTIMIZERS else (inner,) if inner in OPTIMIZERS else Training.__annotations__
    elif location[0] == "published":
        yield from ("source", "gradients") if len(location) == 2 else ("tensor", "at", "values")
    elif where == TAG.format("native"):
        yield from ("from", "seed")
    elif where == TAG.format("checkpoint"):
        yield from Checkpoint.__annotations__
    else:
        own = str(where).strip(TAG.format(""))
        yield own
        yield from {"uniform": ["seed"], "normal": ["seed"], "file": ["key"]}.get(own, [])


def _names(fields_of: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(fields_of))


def _is_number(given: Any) -> bool:
    try:
        float(given)
    except (ValueError, TypeError, OverflowError):
        return False
    return isinstance(given, str)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
