r"""Truncated backpropagation through time: the terms of the full gradient that are kept.

The forward pass and the loss do not change. Full backpropagation carries the loss of step τ, L_τ, back to every step
t ≤ τ. There are two ways to carry it less far, with the steps counted from 0:

    Detach(k)   The sequence is cut into chunks of k steps, at each t > 0 that k divides. A chunk starts from the last
                state of the chunk before, as a constant: no gradient passes from step t to step t − 1, in any layer.
                Within a chunk nothing changes, so the loss of a chunk's last step reaches k steps and that of its first
                step one.
    Window(k)   L_τ reaches step τ and the k steps before it, in every layer, for every τ. It is the gradient of a graph
                of its own, in which the state before step τ − k is a constant. If there is no such step, the graph
                starts from the initial state, which so has the gradient of L_0 … L_k.

Frameworks do Detach, which costs no more than the full gradient. Window is older (Williams and Peng 1990, "An efficient
gradient-based algorithm for on-line training of recurrent network trajectories"), with a loss at every step; it takes
up to k + 1 times as long. With k ≥ T, or for a window k ≥ T − 1, nothing is cut.

**The lag.** In a window, the age of a gradient decides if it is carried further back. Let the lag d = τ − t be the
number of steps from t to the loss of the gradient. Sort each gradient by it: δ_{t,d} is the gradient of L_{t+d} by a_t.
One step back in time adds one to the lag; one layer down at the same step does not change it:

    δ_{t,d} = (g_{t,d} + δ_{t+1,d-1} W_hhᵀ) ⊙ φ'(a_t)      (B, H),  d = 0 … k,  δ_{t,-1} = 0,  t + d < T

The outputs of step t touch L_t alone, so in the top layer g_{t,d} = 0 for d > 0; below, g_{t,d} is the gradient
δ_{t,d} W_xhᵀ of the layer above. Truncation stops at d = k. The lags are the sequential axis here, and all steps t of
one lag are one matrix product: k + 1 products over T·B rows in place of T over B. The cost is O(T·k). A separate graph
for each loss would take O(T·k) products over B rows.

All that is linear in δ_t follows from the sum over the lags, δ_t = Σ_d δ_{t,d}, by the formulas of the full gradient.

**Without lags.** The windows of the losses p, p + k + 1, p + 2 (k + 1), … do not overlap: they are chunks of k + 1
steps that end with the step whose loss counts. A window is therefore the sum of k + 1 detached passes over the
sequence, one for each p from 0 to k, with chunks and losses of their own (``passes``). That is a second way to the same
gradient. It requires only that a cell can be cut, so lstm and gru use it, since they carry more than one δ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy import ndarray


@dataclass(frozen=True)
class Detach:
    """A truncation that cuts the state's gradient at each step t > 0 that is a multiple of ``every``, 1 or more."""

    every: int


@dataclass(frozen=True)
class Window:
    """A truncation in which the loss of a step reaches its own step and the ``steps`` before it, 0 or more."""

    steps: int

    def lags(self, T: int) -> int:
        """Return the number of lags of a sequence of T steps: 0 … k, and no more than T."""
        return min(self.steps, T - 1) + 1


Truncation = Detach | Window


class Pass(NamedTuple):
    """A run over the sequence in which the state at the beginning of each chunk is a constant."""

    chunks: tuple[tuple[int, int], ...]  # each from a step up to another, exclusive, one after the other
    counted: ndarray  # (T,) of bool: the steps whose loss counts

    @property
    def starts(self) -> frozenset[int]:
        """Return the first step of each chunk, without the sequence's first step, whose state is given."""
        return frozenset(first for first, _ in self.chunks if first > 0)


def passes(truncation: Truncation | None, T: int) -> tuple[Pass, ...]:
    """Return the runs over a sequence of T steps whose sum is a truncated gradient; one run for a full gradient."""
    steps = np.arange(T)  # (T,)
    if not isinstance(truncation, Window):
        return (Pass(_chunks(0, T if truncation is None else truncation.every, T), steps >= 0),)
    length = truncation.lags(T)
    if length == T:  # every window starts with the first step
        return passes(None, T)
    return tuple(Pass(_chunks(p + 1 - length, length, T), steps % length == p) for p in range(length))


def _chunks(first: int, length: int, T: int) -> tuple[tuple[int, int], ...]:
    """Return chunks of a length from step ``first`` on; if that is negative, the first chunk is shorter."""
    return tuple((max(0, start), min(start + length, T)) for start in range(first, T, length))
