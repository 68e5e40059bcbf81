"""Contestants: ways to run forward and backward repeatedly on one problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.implementations import Framework
from harness.problem import Problem

Tensors = Mapping[str, Any]
"""``outputs`` and every gradient by name, as arrays or as tensors of a framework."""

Pass = Callable[[], Tensors]
"""A function that runs forward, and backward from the problem's upstream gradient to all weights, the initial state and
the inputs. It returns when everything is computed."""


@dataclass(frozen=True)
class Contestant:
    """A way to compute a gradient whose speed is measured.

    Attributes:
        name: The name in tables and on the command line.
        layout: The layout in which it receives weights and returns gradients.
        framework: The framework, whose process it runs in.
        prepare: A function from a problem in that layout, of one layer without a readout, and a number of threads to a
            pass. Work that is done once for a problem belongs here or in the first pass, and is not timed.
        only_named: True if it takes part only when it is requested by name.
    """

    name: str
    layout: str
    framework: Framework
    prepare: Callable[[Problem, int], Pass]
    only_named: bool = False
