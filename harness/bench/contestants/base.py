"""What a contestant is: a way to run forward and backward again and again on one problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.implementations import Framework
from harness.problem import Problem

Tensors = Mapping[str, Any]
"""``outputs`` and every gradient by name, as arrays or as tensors of a framework."""

Pass = Callable[[], Tensors]
"""Runs forward, and backward from the problem's upstream gradient to all weights, the initial state and the inputs;
returns when everything is computed."""


@dataclass(frozen=True)
class Contestant:
    """One way to compute a gradient, for its speed.

    Attributes:
        name: how it is named in tables and on the command line.
        layout: the layout in which it receives weights and returns gradients.
        framework: the process that it runs in.
        prepare: maps a problem in that layout, of one layer without a readout, and a number of threads to a pass.
            Whatever is done once for a problem is done here or in the first pass, and is not timed.
        only_named: whether it takes part only where it is asked for by name.
    """

    name: str
    layout: str
    framework: Framework
    prepare: Callable[[Problem, int], Pass]
    only_named: bool = False
