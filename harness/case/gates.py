"""The gates of a tensor: blocks of equal width that stand side by side in its last axis."""

from __future__ import annotations

import re

from harness.case.fields import ValidCase
from harness.case.training import TRAINED
from harness.tensors import GATE_NAMES, kind_of

STACKED = ("W_xh", "W_hh", "b_h")
"""The kinds of a network's tensors whose last axis has all gates."""


def gates_of(case: ValidCase, tensor: str) -> tuple[str, ...]:
    """Return the names of the gates in the last axis of a tensor, from left to right; none if it has no blocks.

    The blocks of a recurrence, which are the 4 of ``"I 4*H"``, have numbers for names, counted from 1.

    Args:
        case: The case that the tensor belongs to.
        tensor: The name of the tensor, or of the same weight after a training.
    """
    name = tensor.removeprefix(TRAINED)
    if case.recurrence is not None:
        own = name.rpartition(".")[2] if case.is_network else name
        shape = case.recurrence["declared"]["weights"].get(own, "").split()
        blocks = re.fullmatch(r"(\d+)\*\w+", shape[-1]) if shape else None
        names = tuple(str(number + 1) for number in range(int(blocks[1]))) if blocks else ()
    else:
        names = GATE_NAMES[case.cell] if kind_of(name) in STACKED else ()
    return names if len(names) > 1 else ()
