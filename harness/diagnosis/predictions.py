"""The results of each fault of the catalogue on a problem: computed once, compared with any numbers in question."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy import ndarray

from harness.diagnosis.bptt import Network
from harness.diagnosis.committing import network_with, network_with_more, right, suspects_of, with_forward_pass
from harness.diagnosis.evidence import tolerated_by
from harness.diagnosis.faults import Fault, Suspect, faults
from harness.diagnosis.faults.base import contradict
from harness.diagnosis.recurrent.explaining import Explainer
from harness.precision.tolerance import bound
from harness.problem import Problem

Tensors = Mapping[str, ndarray]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The results of some faults together on a problem.

    Attributes:
        suspects: the faults.
        changed: the tensors that the faults change, in float64.
        delta: the first layer's δ, (T, B, G·H); None if it is too large to be kept, or was not computed.
    """

    suspects: tuple[Suspect, ...]
    changed: Tensors
    delta: ndarray | None = None


MOST_KEPT = 2**13
"""Maximum of numbers of δ that a prediction keeps."""


MOST_RECORDED = 3000
"""Maximum of steps that are recorded, about a second."""


class Predictions:
    """The right tensors of a problem, and the results of each fault.

    Args:
        problem: in the split layout.
        noise: the change by rounding alone of each tensor.
        base: the faults that are taken for granted; the right tensors are then those with these faults.
    """

    def __init__(self, problem: Problem, noise: Mapping[str, float], base: tuple[Suspect, ...] = ()) -> None:
        self.problem = problem
        self.noise = noise
        self.base = base
        self.runs = 0
        self._in_double = in_double(problem)
        self._base: tuple[tuple[Suspect, ...], Network] | None = None
        self._singles: dict[tuple[str, bool], list[Prediction]] = {}

    @property
    def network(self) -> Network:
        """The network without a fault, after both passes."""
        return self._right[0]

    @property
    def truth(self) -> Tensors:
        """The right tensors, in float64: loss, outputs, gradients."""
        return self._right[1]

    @cached_property
    def _right(self) -> tuple[Network, Tensors]:
        """The network without a fault, and its tensors, which result from its passes."""
        network = right(self._in_double)
        tensors = network.tensors()
        if self.base:
            with np.errstate(all="ignore"):
                network = network_with(network, self.base)
                tensors = network.tensors()
        return network, tensors

    @cached_property
    def explainer(self) -> Explainer | None:
        """The rules of the cell's step; None if it takes too long to record, or faults are taken for granted."""
        if self.base or self.problem.network.runs * len(self.problem.structure.blocks) > MOST_RECORDED:
            return None
        return Explainer(self.problem, self.noise)

    @cached_property
    def bounds(self) -> Mapping[str, float]:
        """The allowed error of each tensor, absolute."""
        dtype = self.problem.case.dtype
        with np.errstate(over="ignore"):
            return {
                name: bound(name, tensor.astype(dtype), noise=self.noise.get(name)).atol
                for name, tensor in self.truth.items()
            }

    @cached_property
    def _unseen(self) -> Mapping[str, float | ndarray]:
        """The largest absolute error with which each tensor matches by the tolerance of the case, if that is wider."""
        tolerance = self.problem.case.tolerance
        tolerated = {name: tolerated_by(tolerance, name, tensor) for name, tensor in self.truth.items()}
        return {
            name: own if (most := tolerated[name]) is None else np.maximum(own, most)
            for name, own in self.bounds.items()
        }

    def singles(self, among: Collection[str] | None = None, *, in_one_layer: bool = True) -> list[Prediction]:
        """Return every suspect by itself that changes anything.

        Args:
            among: the names of the faults; all unless given.
            in_one_layer: whether faults of only one among several layers count, too.
        """
        found: list[Prediction] = []
        for name, fault in faults().items():
            if any(contradict(each.fault, fault) for each in self.base):
                continue
            if among is None or name in among:
                found += self._alone(name, fault, everywhere=True)
                if in_one_layer:
                    found += self._alone(name, fault, everywhere=False)
        return found

    def shows(self, fault: type[Fault]) -> bool:
        """Return whether a fault changes anything, with any of its parameters, in all layers or in one."""
        suspects = sorted(suspects_of(fault, self._in_double), key=lambda each: each.layer is not None)
        return any(self.predict((suspect,)).changed for suspect in suspects)

    def _alone(self, name: str, fault: type[Fault], *, everywhere: bool) -> list[Prediction]:
        if (name, everywhere) not in self._singles:
            suspects = (each for each in suspects_of(fault, self._in_double) if (each.layer is None) is everywhere)
            alone = (self.predict((suspect,)) for suspect in suspects)
            self._singles[name, everywhere] = [each for each in alone if each.changed]
        return self._singles[name, everywhere]

    def predict(self, suspects: tuple[Suspect, ...], more: tuple[Suspect, ...] = ()) -> Prediction:
        """Return the results of these faults together on the problem.

        Args:
            suspects: the faults.
            more: faults on top of them, if many are tried on top of the same.
        """
        network, tensors = self._run(suspects, more)
        first = network.layers[0] if network.layers else None
        kept = first.delta if first is not None and first.recursions and first.slopes.size <= MOST_KEPT else None
        with np.errstate(all="ignore"):
            changed = {
                name: tensor
                for name, tensor in tensors.items()
                if not (np.abs(tensor - self.truth[name]) <= self._unseen[name]).all()
            }
        return Prediction((*suspects, *more), changed, kept)

    def tensors(self, suspects: tuple[Suspect, ...], more: tuple[Suspect, ...] = ()) -> Tensors:
        """Return all tensors of the problem with these faults, in float64. Arguments as for ``predict``."""
        return self._run(suspects, more)[1]

    def with_forward_pass(self, suspect: Suspect) -> Tensors:
        """Return all tensors of the problem with a fault's forward pass and the right backward pass, in float64."""
        with np.errstate(all="ignore"):
            return with_forward_pass(self.network, suspect)

    def apart(self, one: Tensors, other: Tensors) -> set[str]:
        """Return the names of the tensors with a visible difference."""
        with np.errstate(all="ignore"):
            close = {name: np.abs(one[name] - other[name]) <= self._unseen[name] for name in self.truth}
        return {name for name, where in close.items() if not where.all()}

    def _run(self, suspects: tuple[Suspect, ...], more: tuple[Suspect, ...] = ()) -> tuple[Network, Tensors]:
        if more and (self._base is None or self._base[0] != suspects):
            self._base = suspects, self._run(suspects)[0]
        with np.errstate(all="ignore"):
            if more and self._base is not None:
                network = network_with_more(self._base[1], (*self.base, *suspects), more)
            elif self.base:
                network = network_with_more(self.network, self.base, suspects)
            else:
                network = network_with(self.network, suspects)
            tensors = network.tensors()
        # The passes of a truncated case are one run together.
        self.runs += max(1, round(network.visits / self.network.visits))
        return network, tensors


def in_double(problem: Problem) -> Problem:
    """Return a problem with the same numbers in float64."""
    return problem.mapped(lambda array: array.astype(np.float64) if array.dtype.kind == "f" else array)
