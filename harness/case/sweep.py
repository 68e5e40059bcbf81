"""A sweep: one file with a case for each combination of several values of several fields.

``sweep: {dtype: [float32, float64], sizes.time: [1, 2]}`` makes four cases, named ``name[dtype=float32,sizes.time=1]``
and so on. Each is the file's data with the values put into their places, and is then validated like any other case.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from harness.casefile import ODD_IN_A_NAME, Document, Mistake, MistakesFound, Path

MAX_CASES = 100_000
MOST_COUNTED = 10**18
LONGEST_LABEL = 1000
"""Maximum letters of a value in a name; a digest stands for the rest of a longer one."""

_TENSOR = re.compile(r"(layer\d+|readout)\.\w+")


class Combination(NamedTuple):
    """One case of a sweep: the suffix of its name, its data, and the positions of the swept fields in the file."""

    suffix: str
    data: dict[str, Any]
    origins: dict[Path, Path]

    def text(self, document: Document, path: Path) -> str | None:
        """Return the scalar at a path of ``data`` as it stands in the file, or None if it is no scalar."""
        for field, origin in self.origins.items():
            if path[: len(field)] == field:
                return document.text((*origin, *path[len(field) :]))
        return document.text(path)

    def locate(self, document: Document, path: Path, problem: str, hint: str = "", *, at_key: bool = False) -> Mistake:
        """Return a mistake at a path of ``data``; it points into the sweep if the value comes from there."""
        for field, origin in self.origins.items():
            if path == field and at_key:
                return document.mistake(origin[:-1], problem, hint, at_key=True)
            if path[: len(field)] == field or field[: len(path)] == path:
                return document.mistake((*origin, *path[len(field) :]), problem, hint, at_key=at_key)
        return document.mistake(path, problem, hint, at_key=at_key)


def combinations(document: Document) -> Iterator[Combination]:
    """Yield every combination of a document's sweep; for a document without one, the document itself.

    Raises:
        MistakesFound: If the sweep is not a mapping of fields to lists, or makes too many cases.
    """
    data = {key: value for key, value in document.data.items() if key != "sweep"}
    if "sweep" not in document.data:
        yield Combination("", data, {})
        return
    sweep = document.data["sweep"]
    if mistakes := list(_mistakes(document, sweep)):
        raise MistakesFound(mistakes)
    for positions in itertools.product(*(range(len(values)) for values in sweep.values())):
        combined, labels = data, []
        origins: dict[Path, Path] = {}
        for (field, values), position in zip(sweep.items(), positions, strict=True):
            path = _path(field)
            combined = _with(combined, path, values[position])
            origin = ("sweep", field, position)
            origins[path] = origin
            labels.append(f"{field}={_label(values[position], document.text(origin))}")
        yield Combination(f"[{','.join(labels)}]", combined, origins)


def _mistakes(document: Document, sweep: Any) -> Iterator[Mistake]:
    if not isinstance(sweep, Mapping) or not sweep:
        yield document.mistake(("sweep",), "should be a mapping of fields to lists", "such as {sizes.time: [1, 2]}")
        return
    for field, values in sweep.items():
        path = ("sweep", field)
        if not isinstance(values, list) or not values:
            hint = "" if values == [] else f"such as {field}: [{values}]"
            yield document.mistake(path, f"{values!r} should be a list of values", hint)
            continue
        first, *rest = _path(field)
        if "" in (first, *rest) or (rest and not isinstance(document.data.get(str(first), {}), dict)):
            yield document.mistake(path, "no field can be reached by this name", "such as sizes.time", at_key=True)
        seen: set[str] = set()
        for position, value in enumerate(values):
            label = _label(value, document.text((*path, position)))
            if label in seen:
                yield document.mistake((*path, position), f"{label} is already in this list")
            seen.add(label)
    lengths = [len(values) for values in sweep.values() if isinstance(values, list)]
    if math.prod(lengths) > MAX_CASES:
        count = min(math.prod(lengths), MOST_COUNTED)
        more = "more than " if count == MOST_COUNTED else ""
        yield document.mistake(("sweep",), f"makes {more}{count:,} cases; a sweep may make {MAX_CASES:,}")


def _path(field: str) -> Path:
    """Split ``sizes.time`` at its dots, except those in names of tensors: ``weights.layer0.W_xh`` has two parts."""
    first, dot, rest = field.partition(".")
    tensor = _TENSOR.match(rest)
    parts = [tensor[0], *rest[tensor.end() :].split(".")[1:]] if tensor else rest.split(".") if dot else []
    return (first, *parts)


def _with(data: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """Return ``data`` with ``value`` at ``path``; only what lies on the path is copied."""
    first, *rest = path
    inner = data.get(str(first), {})
    return {**data, str(first): _with(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value}


def _label(value: Any, text: str | None) -> str:
    """Write a value for a case's name: as in the file; a list or mapping on one line and without quotes."""
    if text is None:
        label = json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace('"', "")
    else:
        label = ODD_IN_A_NAME.sub(" ", text)  # line breaks are the only ones that a case file can have
    if len(label) <= LONGEST_LABEL:
        return label
    return f"{label[:LONGEST_LABEL]}…{hashlib.sha256(label.encode()).hexdigest()[:16]}"
