"""Checks of a case against the checkpoint that contains its weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

import numpy as np

from harness.case.arrays import LONGEST_NAME, Problem
from harness.case.fields import Fields
from harness.casefile import nearest
from harness.checkpoint import CheckpointRefused, Recurrent, Stated, contradictions, find, format_of


def found(case: Fields, folder: FilePath) -> Recurrent:
    """Return the recurrent layers that a case names.

    Args:
        case: A case with ``weights: {checkpoint: ...}``.
        folder: The case file's folder.

    Raises:
        CheckpointRefused: If the checkpoint cannot be read, or does not contain them.
    """
    given = case.weights
    assert isinstance(given, dict)
    stated = Stated(reset=case.reset, forget_bias=given.get("forget_bias"), layout=given.get("layout"))
    return find(
        folder / given["checkpoint"],
        given.get("layer"),
        stated,
        given.get("ignore", ()),
        case.sizes.output,
        given.get("readout"),
    )


def problems(case: Fields, folder: FilePath, *, anywhere: bool = False) -> Iterator[Problem]:
    """Find all mistakes in the checkpoint of a case, if it has one, and all fields that contradict it.

    Args:
        case: The case.
        folder: The case file's folder.
        anywhere: True if the checkpoint may lie outside that folder.
    """
    if not isinstance(case.weights, dict) or "checkpoint" not in case.weights:
        return
    name = case.weights["checkpoint"]
    if len(name) > LONGEST_NAME:
        yield ("weights", "checkpoint"), f"a name of {len(name):,} letters; it may have {LONGEST_NAME}", ""
        return
    path = FilePath(name)
    try:
        if outside := [] if anywhere else _outside(folder, folder / path):
            yield (
                ("weights", "checkpoint"),
                f"{outside[0]} is outside the case file's folder",
                "put it beside the file",
            )
            return
        layers = found(case, folder)
        against_it = list(_contradictions(case, layers, path.name))
        yield from against_it
        if against_it:
            return
        most = np.float64(np.finfo(case.dtype).max)
        for tensor, array in layers.tensors(case.sizes.output, case.weights.get("readout")).items():
            if not (np.abs(array) <= most).all():
                yield ("weights", "checkpoint"), f"{path.name} has numbers in {tensor} that no {case.dtype} holds", ""
    except CheckpointRefused as refused:
        hint = refused.hint
        if refused.names and not anywhere:
            hint = f"{hint.partition(' --ignore')[0]} ignore: [{', '.join(refused.names)}]"
        if refused.about == "checkpoint" and "does not exist" in refused.problem:
            there = [each.name for each in folder.iterdir()] if folder.is_dir() else []
            hint = nearest(path.name, there) or hint
        yield ("weights", refused.about), f"{path.name} {refused.problem}", hint
    except (OSError, ValueError) as error:  # a name that no file can have
        yield ("weights", "checkpoint"), f"{name!r} cannot be read: {error}", ""


def _outside(folder: FilePath, path: FilePath) -> list[str]:
    """Return the names of the files of a checkpoint that are not below a folder, after following links."""
    try:
        files = format_of(path).files(path)
    except CheckpointRefused:
        files = [path]
    return [each.name for each in files if not each.resolve().is_relative_to(folder.resolve())]


def _contradictions(case: Fields, layers: Recurrent, name: str) -> Iterator[Problem]:
    """Find the fields of a case that contradict its checkpoint."""
    block = layers.block
    both = layers.directions == 2
    for field, says, is_there in (
        (("cell",), case.cell, block.cell),
        (("reset",), case.reset if case.cell == block.cell else block.reset, block.reset),
        (("activation",), case.activation, block.activation or case.activation),
        (("layers",), case.layers, layers.layers),
        (("bidirectional",), case.bidirectional, both),
        (("sizes", "input"), case.sizes.input, block.input),
        (("sizes", "hidden"), case.sizes.hidden, block.hidden),
    ):
        if says != is_there:
            yield (
                field,
                f"{_written(says)} contradicts {name}, which has {_written(is_there)}",
                f"use {_written(is_there)}",
            )
    given = case.weights
    assert isinstance(given, dict)
    for key, value, why in contradictions(layers.cell, Stated(forget_bias=given.get("forget_bias"))):
        yield ("weights", key), f"{value:g} does not fit {name}: {why}", "leave it out"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
