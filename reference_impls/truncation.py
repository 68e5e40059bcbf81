r"""Truncated backpropagation through time: which terms of the full gradient are kept.

The forward pass is the same, and so is the loss. Full backpropagation carries the loss of step τ, L_τ, back to every
step t ≤ τ. Two ways to carry it less far, with the steps counted from 0:

    Detach(k)   The sequence is cut into chunks of k steps, at each t > 0 that k divides. A chunk starts from the state
                that the one before ended with, as from a constant: nothing is carried from step t to step t − 1, in
                any layer. Within a chunk everything is as before, so the loss of a chunk's last step reaches k steps
                and that of its first step one.
    Window(k)   L_τ reaches step τ and the k steps before it, in every layer, whatever τ is. It is the gradient of a
                graph of its own that starts from the state before step τ − k as from a constant; or, where there is no
                such step, from the initial state, which so gets the gradient of L_0 … L_k.

Detach is what frameworks do, and costs no more than the full gradient. Window is the older one (Williams and Peng 1990,
"An efficient gradient-based algorithm for on-line training of recurrent network trajectories"), with a loss at every
step; it takes up to k + 1 times as long. With k ≥ T, or for a window k ≥ T − 1, nothing is cut.

**The lag.** In a window, what is carried back must know how old it is. Let d = τ − t be the lag: how many steps after t
the loss stands that a gradient comes from. Sort each gradient by it, with δ_{t,d} the gradient of L_{t+d} by a_t.
Going one step back in time adds one to the lag, going down a layer at the same step leaves it:

    δ_{t,d} = (g_{t,d} + δ_{t+1,d-1} W_hhᵀ) ⊙ φ'(a_t)      (B, H),  d = 0 … k,  δ_{t,-1} = 0,  t + d < T

The outputs of step t touch L_t alone, so in the top layer g_{t,d} = 0 for d > 0; below, g_{t,d} is the gradient
δ_{t,d} W_xhᵀ of the layer above. Truncation is to stop at d = k. The lags are the sequential axis here, and all steps t
of one lag are one matrix product: k + 1 products over T·B rows in place of T over B. The cost is O(T·k), where a graph
for each loss that is walked on its own would take as many products over B rows.

Whatever is linear in δ_t is read off the sum over the lags, δ_t = Σ_d δ_{t,d}, by the formulas of the full gradient.

**Without lags.** The windows of the losses p, p + k + 1, p + 2 (k + 1), … do not overlap: they are chunks of k + 1
steps that end with the step whose loss counts. A window is therefore the sum of k + 1 detached passes over the
sequence, one for each p from 0 to k, with chunks and losses of their own (``passes``). That is a second way to the same
gradient, and asks nothing of a cell but that it can be cut: lstm and gru, where what is carried is more than one δ,
take this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy import ndarray


@dataclass(frozen=True)
class Detach:
    """The gradient of the state is cut where a step t > 0 is a multiple of ``every``, which is 1 or more."""

    every: int


@dataclass(frozen=True)
class Window:
    """The loss of a step reaches its own step and the ``steps`` before it, 0 or more."""

    steps: int

    def lags(self, T: int) -> int:
        """How many lags a sequence of T steps has: 0 … k, and no more than there are steps."""
        return min(self.steps, T - 1) + 1


Truncation = Detach | Window


class Pass(NamedTuple):
    """A run over the sequence whose states are constants where a chunk begins."""

    chunks: tuple[tuple[int, int], ...]  # each from a step up to but without another, one after the other
    counted: ndarray  # (T,) of bool: the steps whose loss counts

    @property
    def starts(self) -> frozenset[int]:
        """The steps at which a chunk begins, but for the first step of all, whose state is given."""
        return frozenset(first for first, _ in self.chunks if first > 0)


def passes(truncation: Truncation | None, T: int) -> tuple[Pass, ...]:
    """Return the runs over a sequence of T steps that together give a truncated gradient; one for a full gradient."""
    steps = np.arange(T)  # (T,)
    if not isinstance(truncation, Window):
        return (Pass(_chunks(0, T if truncation is None else truncation.every, T), steps >= 0),)
    length = truncation.lags(T)
    if length == T:  # every window starts with the first step
        return passes(None, T)
    return tuple(Pass(_chunks(p + 1 - length, length, T), steps % length == p) for p in range(length))


def _chunks(first: int, length: int, T: int) -> tuple[tuple[int, int], ...]:
    """Return chunks of a length, the first of which starts at a step or, if that is negative, has the rest of it."""
    return tuple((max(0, start), min(start + length, T)) for start in range(first, T, length))
