"""A case from Python values, without a file: the fields of a case file as keyword arguments."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from harness.case import published
from harness.case.fields import CELLS, ValidCase
from harness.casefile import ODD_IN_A_NAME, Mistake, MistakesFound, nearest
from harness.recurrences import Recurrence

PLACE = "harness.make_case"
"""The place of a mistake, before the name of the argument."""

DRAWN = {"inputs": {"normal": 1.0, "seed": 1}, "initial_state": {"normal": 0.5, "seed": 2}}
"""The numbers of arrays that are not given: the zeros of a case file would hide wrong gradients."""


def made(fields: Mapping[str, Any], name: object, implementations: Collection[str]) -> ValidCase:
    """Return the case that has these fields.

    Args:
        fields: The fields of a case file by name. An array stands for an array spec with its values. Inputs and the
            initial state are random unless they are given.
        name: The name of the case; empty for that of its cell.
        implementations: The implementations that the case may name.

    Raises:
        MistakesFound: With every mistake, each with the name of its argument.
    """
    from harness.case import validation  # imports pydantic, which only reading a case needs

    data, mistakes = {}, []
    for key, value in fields.items():
        if key == "cell" and isinstance(value, Recurrence):
            value = value.name
        try:
            plain = _plain(value)
            json.dumps(plain)
        except (TypeError, ValueError) as error:
            mistakes.append(_mistake((key,), f"cannot stand in a case file: {error}"))
        else:
            data[key] = plain
    if data.get("cell", "rnn") in CELLS:  # another recurrence draws its numbers itself
        data |= {key: spec for key, spec in DRAWN.items() if key not in fields}
    if data.pop("sweep", None) is not None:
        mistakes.append(_mistake(("sweep",), "makes several cases", "call make_case for each of them"))
    if not isinstance(name, str):
        mistakes.append(_mistake(("name",), f"{name!r} should be a text"))
    name = str(name or data.get("cell", "rnn"))
    if ODD_IN_A_NAME.search(name):
        mistakes.append(_mistake(("name",), f"{name!r} has a control character or a line break"))
    case, found = validation.validated(data, name, FilePath(name), _mistake)
    mistakes += [each for each in found if not each.path or each.path[0] not in fields.keys() - data.keys()]
    for position, each in enumerate(case.implementations or () if case is not None else ()):
        if each not in implementations:
            hint = nearest(each, implementations) or "`harness list implementations` shows what there is"
            mistakes.append(_mistake(("implementations", position), f"there is no implementation {each!r}", hint))
    if case is None or mistakes:
        raise MistakesFound(mistakes)
    return case if case.published is None else replace(case, half_units=published.half_units(case.published))


def _plain(value: Any) -> Any:
    """Return a value as a case file could hold it: an array as the array spec of its values, a tuple as a list."""
    if isinstance(value, np.ndarray):
        return {"values": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _mistake(path: tuple[str | int, ...], problem: str, hint: str = "", *, at_key: bool = False) -> Mistake:
    del at_key  # a line of a file would depend on it
    return Mistake(PLACE, None, None, path, problem, hint)
