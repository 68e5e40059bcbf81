"""Random array specs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from harness.case.fields import SPEC_WORDS
from harness.fuzz.by_type import TENTHS
from harness.fuzz.source import Source, one_of, whole
from harness.tensors import Shape

NOT_DRAWN = {"file": "`values` can have the numbers of a file, and a found case needs no other file"}
"""The kinds of array spec that are not drawn, each with the reason."""

MOST_WRITTEN = 12
"""Maximum number of elements of a tensor that is written out."""

NUMBERS = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0)
"""Written values: numbers that sometimes make a pre-activation exactly zero."""

MOST_SEED = 999


def seed(source: Source) -> int:
    """Choose a seed."""
    return whole(source, 0, MOST_SEED)


def spec(source: Source, shape: Shape | None = None) -> Any:
    """Choose an array spec for a tensor; without a shape, one that fits any.

    Most specs are random numbers, since others hide faults.
    """
    kinds = ["word", "fill", "normal", "uniform", "normal", "uniform", "normal", "uniform"]
    if shape is not None and math.prod(shape) <= MOST_WRITTEN:
        kinds.append("values")
    if shape is not None and len(shape) > 1 and math.prod(shape[:-1]) <= MOST_WRITTEN:
        kinds.append("one_hot")
    match one_of(source, kinds):
        case "word":
            return one_of(source, SPEC_WORDS)
        case "fill":
            return {"fill": one_of(source, NUMBERS)}
        case "normal":
            return {"normal": one_of(source, TENTHS), "seed": seed(source)}
        case "uniform":
            bound = one_of(source, TENTHS)
            return {"uniform": [-bound, bound], "seed": seed(source)}
        case "values":
            assert shape is not None
            return {"values": nested(shape, lambda: one_of(source, NUMBERS))}
        case _:
            assert shape is not None
            return {"one_hot": nested(shape[:-1], lambda: source.index(shape[-1]))}


def labels(source: Source, shape: Shape, count: int) -> Any:
    """Choose an array spec for class labels below ``count``, (B, T)."""
    match one_of(source, ["fill", "uniform", "values"]):
        case "fill":
            return {"fill": source.index(count)}
        case "uniform":
            return {"uniform": [0, count], "seed": seed(source)}
        case _:
            return {"values": nested(shape, lambda: source.index(count))}


def by_name(source: Source, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Choose an array spec for one of several tensors, and one for the others."""
    name = one_of(source, list(shapes))
    return {name: spec(source, shapes[name]), "default": spec(source)}


def nested(shape: Shape, number: Callable[[], Any]) -> Any:
    """Return nested lists of a shape."""
    return [nested(shape[1:], number) for _ in range(shape[0])] if shape else number()
