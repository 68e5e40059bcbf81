"""Simple cases before intricate ones: the first that disagrees should be the easiest to understand."""

from __future__ import annotations

from collections.abc import Iterable

from harness.case import ValidCase
from harness.tensors import GATES

FIRST = ("basic/tanh", "basic/")
"""The beginnings of the names of the cases to begin with."""


def simplest_first(cases: Iterable[ValidCase]) -> list[ValidCase]:
    """Order cases: the plainest, the other basic ones, then by directions, lengths, gates, layers, readout and size."""
    return sorted(cases, key=lambda case: (*(not case.name.startswith(each) for each in FIRST), _intricacy(case)))


def _intricacy(case: ValidCase) -> tuple[int, bool, int, int, bool, int]:
    sizes, structure = case.sizes, case.structure
    B, T, I = structure.inputs
    weights = sum(rows * (columns[0] if columns else 1) for rows, *columns in structure.weights.values())
    around = structure.directions, case.lengths is not None
    return *around, GATES[case.cell], structure.layers, sizes.output is not None, B * T * I + weights
