"""An explanation in stages, from the outputs backwards, where no fault explains every tensor.

A fault that explains a part of the numbers is taken for granted, and the rest is explained on top of it. A forward pass
that gives the outputs comes first, then a fault of the backward pass that gives the columns of some gates. What a stage
explains is right from then on, so that no later fault may change it.

Evidence is counted for each part by itself: what many tensors prove says nothing of another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy import ndarray

from harness.diagnosis.evidence import Evidence
from harness.diagnosis.faults import Suspect
from harness.diagnosis.parts import Explanation, Settled
from harness.diagnosis.predictions import Prediction, Predictions
from harness.diagnosis.search import Search
from harness.tensors import kind_of

MOST_STAGES = 3
"""Maximum of faults that are taken for granted one after the other."""

MOST_TRIED = 3
"""Maximum of faults that are tried at one stage."""

FORWARD = ("outputs", "loss")


@dataclass(frozen=True, eq=False)
class Base:
    """A fault that explains a part of the numbers.

    Attributes:
        settled: the fault and the tensors that it explains, wholly or in part.
        bits: the evidence for it.
    """

    settled: Settled
    bits: float


class Stages:
    """Explains numbers stage by stage.

    Args:
        against: returns the evidence of the numbers against right tensors.
        thorough: whether faults are also tried in pairs.
    """

    def __init__(self, against: Callable[[Mapping[str, ndarray]], Evidence], *, thorough: bool) -> None:
        self.against = against
        self.thorough = thorough
        self._on: dict[tuple[Suspect, ...], Predictions] = {}

    def explanations(self, predictions: Predictions) -> list[Explanation]:
        """Return the explanations of the wrong tensors of a problem, those that leave the fewest numbers open first."""
        found = self._explained(predictions, 0, in_pairs=False)
        if self.thorough and (not found or found[0].open):
            # More is explained, or the same.
            found = self._explained(predictions, 0, in_pairs=True) or found
        return found

    def _explained(self, predictions: Predictions, stage: int, *, in_pairs: bool) -> list[Explanation]:
        """Return the explanations on top of what is taken for granted, ``stage`` faults."""
        search = Search(self.against(predictions.truth), predictions)
        if whole := search.explanations():
            return whole
        bases = list(self._bases(search)) if stage < MOST_STAGES else []
        # A fault of the forward pass and one of the backward pass are no pair, but two stages.
        forward = any(each.settled.parts[0].suspect.fault.alters_forward for each in bases)  # type: ignore[union-attr]
        if in_pairs and not forward and (whole := search.in_pairs()):
            return whole
        found = list(search.explanations_of_some())
        for base in bases:
            rest = self._granted(predictions, base.settled)
            off = self.against(rest.truth).off
            further = self._explained(rest, stage + 1, in_pairs=in_pairs) if off else []
            found += [joined(base.settled, each) for each in further or [Explanation((), off)]]
        found = [each for each in found if not search.undoes_itself(each)]
        left = {each: self._left(search.evidence, each) for each in found}
        found.sort(key=lambda each: (left[each], each.order))
        return [each for each in found if left[each] == left[found[0]] and set(each.open) == set(found[0].open)]

    def _granted(self, predictions: Predictions, settled: Settled) -> Predictions:
        suspects = (*predictions.base, *(part.suspect for part in settled.parts if part.suspect is not None))
        if suspects not in self._on:
            self._on[suspects] = Predictions(predictions.problem, predictions.noise, suspects)
        return self._on[suspects]

    @staticmethod
    def _left(evidence: Evidence, explanation: Explanation) -> int:
        return sum(int(evidence.wrong(name).sum()) for name in explanation.open if name not in explanation.residuals)

    def _bases(self, search: Search) -> Iterator[Base]:
        """Yield the faults that explain most, those of the forward pass if it is wrong."""
        forward = [name for name in FORWARD if name in search.off]
        found = self._of_forward_pass(search, forward[0]) if forward else self._of_gates(search)
        ranked = sorted(found, key=lambda base: (-base.bits, sum(part.unlikely for part in base.settled.parts)))
        yield from islice(ranked, MOST_TRIED)

    @staticmethod
    def _of_forward_pass(search: Search, first: str) -> Iterator[Base]:
        """Yield the faults of the forward pass that give the first of its wrong tensors."""
        for each in search.possible_singles():
            if each.suspects[0].fault.alters_forward and first in each.changed:
                residual = search.evidence.residual_if_agrees(first, each.changed[first])
                if residual is None:
                    continue
                settled = search.settled_by(each, search.explained(each) | {first: residual})
                if search.convincing(settled):
                    yield Base(settled, search.evidence.bits(settled.residuals))

    @staticmethod
    def _of_gates(search: Search) -> Iterator[Base]:
        """Yield the faults that give some tensors, or the columns of some gates of them, and change no right ones."""
        layers = search.predictions.network.layers
        gates = layers[0].gates if layers else ()
        parts = [search.evidence.of_columns(columns) for columns in _columns(search, gates)]
        if len(parts) < 2:
            return
        for each in search.possible_singles():
            if (settled := _in_columns(search, each, parts)) is not None:
                yield settled


def _columns(search: Search, gates: tuple[str, ...]) -> Iterator[Mapping[str, ndarray]]:
    """Yield for each gate the elements that are its columns, by tensor."""
    for gate in gates:
        found = {}
        for name in search.off:
            layer = search.predictions.network.layers[0]
            mask = np.zeros(search.evidence.truth[name].shape, np.bool_)
            if kind_of(name) in ("W_xh", "W_hh", "b_h"):
                layer.block(mask, gate)[...] = True
                found[name] = mask
        yield found


def _in_columns(search: Search, prediction: Prediction, parts: list[Evidence]) -> Base | None:
    residuals: dict[str, float] = {}
    bits, fitting = 0.0, 0
    for evidence in parts:
        own = {}
        for name in evidence.names:
            if name not in prediction.changed or not evidence.known[name].any():
                continue
            residual = evidence.residual_if_agrees(name, prediction.changed[name])
            if residual is not None:
                own[name] = residual
            elif not evidence.wrong(name).any():
                return None  # it changes what is right
        bits += evidence.bits(own)
        fitting += any(evidence.wrong(name).any() for name in own)
        for name, residual in own.items():
            if evidence.wrong(name).any():
                residuals[name] = max(residuals.get(name, 0.0), residual)
    settled = search.settled_by(prediction, residuals)
    return Base(settled, bits) if residuals and fitting and bits >= search.bits_needed(settled) else None


def joined(settled: Settled, rest: Explanation) -> Explanation:
    """Return the explanation of a stage and of what is explained on top of it."""
    later = {*rest.residuals, *rest.open}
    own = {name: residual for name, residual in settled.residuals.items() if name not in later or name in rest.open}
    return Explanation((replace(settled, residuals=own), *rest.settled), rest.open)
