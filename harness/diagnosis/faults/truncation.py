"""Faults of truncation: a gradient is cut at the wrong steps, or is not cut."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.bptt import Network
from harness.diagnosis.cells import BackwardRecursion, layer_kind
from harness.diagnosis.cells.layer import SUMS
from harness.diagnosis.faults.base import LayerFault, NetworkFault
from harness.diagnosis.faults.needs import several_layers, three_steps
from harness.problem import Problem
from reference_impls.truncation import Detach, Pass, Window, passes

EACH_TRIED = 24
"""Shorter lengths are all tried; from this one on, those that people choose."""

CHOSEN = (25, 30, 32, 35, 40, 48, 50, 60, 64, 70, 75, 80, 90, 96, 100, 120, 128, 150, 200, 250, 256, 300, 400, 500)

LONGEST_WINDOW = 64
"""Windows take a product over all steps for each step that they reach, so that longer ones are not tried."""

HIDING = ("zero recurrent weights", "no gradient passes between steps", "few steps")


def _lengths(problem: Problem) -> list[int]:
    """Lengths of chunks that are worth trying: shorter than the sequence."""
    return [k for k in (*range(2, EACH_TRIED), *CHOSEN) if k < problem.case.sizes.time]


def _reaches(problem: Problem) -> list[int]:
    """Return the numbers of steps that a window may reach back: more than its own step, fewer than all."""
    T = problem.case.sizes.time
    lengths = [k for k in _lengths(problem) if k <= LONGEST_WINDOW]
    return sorted({reach for k in lengths for reach in (k - 1, k) if 0 < reach < T - 1})


def _cut(problem: Problem) -> str:
    if problem.truncation is None:
        return "nothing is truncated here"
    first, *_ = passes(problem.truncation, problem.case.sizes.time)
    return "the truncation is no shorter than the sequence" if len(first.chunks) == 1 else ""


def _chunks(problem: Problem) -> str:
    return _cut(problem) if isinstance(problem.truncation, Detach) else "there are no chunks here"


class Truncated(NetworkFault):
    """Backpropagation is truncated: the loss of a step reaches its own step and {reach} before it, and no further."""

    unlikely = 0
    hidden_by = HIDING
    declare = "truncation: {{kind: window, steps: {reach}}}"
    reach: int
    needs = (three_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"reach": reach} for reach in _reaches(problem))

    @override
    def passes(self) -> tuple[Pass, ...]:
        return passes(Window(self.reach), self.structure.time)

    @override
    def through_layers(self, d_top: ndarray) -> dict[str, ndarray]:
        right = layer_kind(self.structure)
        alike = type(self).to_below is Network.to_below and all(layer.overrides(right) <= SUMS for layer in self.layers)
        if not alike:
            return super().through_layers(d_top)
        # One pass for each loss would take as long as all other faults together.
        return self.through_layers_by_age(d_top, self.reach + 1)


class LayersTruncated(LayerFault):
    """Each layer truncates backpropagation anew: a gradient reaches its own step and {layer_reach} before it in each
    layer, so that a loss reaches further in lower layers.
    """

    hidden_by = HIDING
    layer_reach: int
    needs = (several_layers, three_steps)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"layer_reach": reach} for reach in _reaches(problem))

    @override
    def recursion(self, g: ndarray) -> BackwardRecursion:
        delta, carried = np.zeros_like(self.slopes), self.nothing()  # (T, B, G·H), (…, B, H)
        arrived = np.zeros((*carried.shape[:-2], *g.shape), g.dtype)  # (…, T, B, H): known by age alone
        for of_age, handed in self.by_age(g, self.layer_reach + 1):
            delta[: len(of_age)] += of_age
            carried = carried + handed
        return BackwardRecursion(g, delta, arrived, carried)


class _CutFault(LayerFault):
    """A fault that cuts the gradient of the state at other steps than the case does."""

    hidden_by = HIDING
    needs = (three_steps,)


class Detached(_CutFault):
    """The gradient of the state is cut every {period} steps, where a new chunk of the sequence begins."""

    unlikely = 0
    declare = "truncation: {{kind: detach, every: {period}}}"
    period: int

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"period": k} for k in _lengths(problem))

    @override
    def cuts(self) -> Collection[int]:
        return range(self.period, len(self.cache.x), self.period)


class DetachedAtEveryStep(_CutFault):
    """The gradient of the state is cut at every step: only that of the first step goes on, to the initial state."""

    unlikely = 2  # a deliberate truncation keeps a few steps; a forgotten carry keeps one
    declare = "truncation: {{kind: detach, every: 1}}"

    @override
    def cuts(self) -> Collection[int]:
        return range(1, len(self.cache.x))


class DetachedFromTheEnd(_CutFault):
    """The gradient of the state is cut every {period_from_end} steps, counted from the end of the sequence."""

    period_from_end: int

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        T = problem.case.sizes.time
        # Where the period divides T, the cuts are the same from either end.
        yield from ({"period_from_end": k} for k in _lengths(problem) if T % k)

    @override
    def cuts(self) -> Collection[int]:
        T = len(self.cache.x)
        return range(T % self.period_from_end, T, self.period_from_end)


class LastStepsOnlyConnected(_CutFault):
    """Only the last {connected} steps hand a gradient back: before them the recursion is cut at every step."""

    connected: int

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"connected": k} for k in _lengths(problem))

    @override
    def cuts(self) -> Collection[int]:
        return range(len(self.cache.x) - self.connected + 1)


class TruncationLeftOut(LayerFault):
    """The gradient is carried all the way back through time, though the case truncates it."""

    unlikely = 0
    hidden_by = (*HIDING, "the truncation cuts nothing")
    declare = "truncation: none"
    needs = (_cut,)

    @override
    def cuts(self) -> Collection[int]:
        return ()


class ChunksShifted(LayerFault):
    """The first chunk has {first_chunk} step(s), but should be as long as the others: the gradient of the state is cut
    at other steps.
    """

    hidden_by = (*HIDING, "the truncation cuts nothing")
    first_chunk: int
    needs = (_chunks,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        truncation = problem.truncation
        assert isinstance(truncation, Detach)
        every = truncation.every
        lengths = {1, every - 1, every + 1} - {0, every}
        yield from ({"first_chunk": k} for k in sorted(lengths) if k < problem.case.sizes.time)

    @override
    def cuts(self) -> Collection[int]:
        T = len(self.cache.x)
        return range(self.first_chunk, T, min(self.starts, default=T))


class ChunksFromZero(LayerFault):
    """Each chunk of {chunk_length} step(s) but the first starts from a state of zero instead of the final state of the
    chunk before it.
    """

    alters_forward = True
    unlikely = 0
    hidden_by = ("zero recurrent weights",)
    chunk_length: int
    chunk = 0  # where the chunk begins that is run
    needs = (_chunks,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        truncation = problem.truncation
        assert isinstance(truncation, Detach)
        yield {"chunk_length": truncation.every}

    @override
    def forward(self, x: ndarray) -> ndarray:
        caches = []
        for first in range(0, len(x), self.chunk_length):
            self.chunk = first
            super().forward(x[first : first + self.chunk_length])
            caches.append(self.cache)
        self.cache = type(self.cache)(*(np.concatenate(parts) for parts in zip(*caches, strict=True)))
        return self.cache.after

    @override
    def start(self) -> ndarray:
        return super().start() if self.chunk == 0 else np.zeros_like(self.h0)

    def start_cell(self) -> ndarray:
        """c_0 of an lstm."""
        own: ndarray = super().start_cell()  # type: ignore[misc]
        return own if self.chunk == 0 else np.zeros_like(own)
