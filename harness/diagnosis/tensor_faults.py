"""Faults of one tensor: algebra on the right gradient after its computation.

Each is a function that yields its results for a tensor. Some have a number to be fitted; the number comes from the
values in question, and costs the explanation as much evidence as one of them holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy import ndarray

from harness.diagnosis.faults.scale import factors
from harness.diagnosis.faults.softmax import softmax
from harness.problem import Problem
from harness.tensors import GATE_NAMES, kind_of
from reference_impls.activations import ACTIVATIONS


@dataclass(frozen=True, eq=False)
class Subject:
    """A tensor under examination.

    Attributes:
        tensor: its name.
        right: all tensors as they would be without this fault, in float64.
        problem: the problem.
        actual: the numbers in question, NaN where they are unknown; None if nothing is to be fitted.
    """

    tensor: str
    right: Mapping[str, ndarray]
    problem: Problem
    actual: ndarray | None = None

    @property
    def own(self) -> ndarray:
        """The right tensor."""
        return self.right[self.tensor]


@dataclass(frozen=True, eq=False)
class TensorPrediction:
    """The result of a fault on a tensor.

    Attributes:
        fault: the fault's name.
        text: the words that follow "is".
        predicted: the tensor.
        fitted: the number of fitted numbers.
        unlikely: 0 for the commonest faults.
    """

    fault: str
    text: str
    predicted: ndarray
    fitted: int = 0
    unlikely: int = 1


Maker = Callable[[Subject], Iterator[TensorPrediction]]
TENSOR_FAULTS: dict[str, tuple[str, Maker]] = {}
"""Every fault of one tensor, by name: its explanation, and the function that applies it."""


def tensor_fault(name: str) -> Callable[[Maker], Maker]:
    """Add a function to the catalogue; its docstring is the fault's explanation."""

    def add(maker: Maker) -> Maker:
        TENSOR_FAULTS[name] = (" ".join((maker.__doc__ or "").split()), maker)
        return maker

    return add


@tensor_fault("zero")
def _zero(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient is zero everywhere."""
    yield TensorPrediction("zero", "zero everywhere", np.zeros_like(subject.own))


@tensor_fault("transposed")
def _transposed(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient is the transpose of the right one."""
    own = subject.own
    if own.ndim == 2 and own.shape[0] == own.shape[1] and own.size > 1:
        yield TensorPrediction("transposed", "the transpose of the right one", own.T, unlikely=0)


@tensor_fault("reshaped")
def _reshaped(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient is the transpose of the right one, reshaped to its shape."""
    own = subject.own
    if own.ndim == 2 and 1 not in own.shape:
        yield TensorPrediction("reshaped", "the transpose of the right one, reshaped", own.T.reshape(own.shape))
    if own.ndim == 3 and 1 not in own.shape[:2]:
        turned = np.ascontiguousarray(own.swapaxes(0, 1)).reshape(own.shape)
        yield TensorPrediction("reshaped", "the right one with time first, reshaped instead of transposed", turned)


@tensor_fault("factor")
def _factor(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient is the right one times a constant."""
    own = subject.own
    for name, factor in factors(subject.problem).items():
        yield TensorPrediction("factor", f"{name} as large as the right one", factor * own, unlikely=0)
    fitted = None if subject.actual is None else _least_squares(own, subject.actual)
    if fitted is not None and abs(fitted - 1) > 1e-3:  # so close to 1, it is noise
        yield TensorPrediction(
            "factor", f"{fitted:.5g} times as large as the right one", fitted * own, fitted=1, unlikely=2
        )


@tensor_fault("reversed-time")
def _reversed_time(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient has its steps in reversed order."""
    if subject.own.ndim == 3 and subject.own.shape[1] > 1:
        yield TensorPrediction("reversed-time", "the right one with its steps in reversed order", subject.own[:, ::-1])


@tensor_fault("stale-by-one-step")
def _stale(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient is one step too early or too late."""
    own = subject.own
    if own.ndim != 3 or own.shape[1] < 2:
        return
    for shift, text in ((1, "late"), (-1, "early")):
        moved = np.roll(own, shift, axis=1)
        yield TensorPrediction("stale-by-one-step", f"the right one, one step too {text}, round the end", moved.copy())
        moved[:, 0 if shift == 1 else -1] = 0
        yield TensorPrediction("stale-by-one-step", f"the right one, one step too {text}", moved)


@tensor_fault("of-another-tensor")
def _of_another_tensor(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient is that of another tensor of the same shape."""
    for name, other in subject.right.items():
        if name not in (subject.tensor, "loss", "outputs") and other.shape == subject.own.shape:
            likely = kind_of(name) == kind_of(subject.tensor)
            yield TensorPrediction("of-another-tensor", f"the gradient of {name}", other, unlikely=1 if likely else 2)
            if other.ndim == 2 and other.shape[0] == other.shape[1]:
                yield TensorPrediction(
                    "of-another-tensor", f"the gradient of {name}, transposed", other.T, unlikely=2 if likely else 3
                )


@tensor_fault("gates-permuted")
def _gates_permuted(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient has the blocks of its gates in another order."""
    names, blocks = _blocks_of_gates(subject)
    for order in list(permutations(range(len(names))))[1:]:
        there = ", ".join(names[k] for k in order)
        text = f"the right one with its gates in the order {there}, where {', '.join(names)} is the order"
        moved = [names[k] for k, other in enumerate(order) if k != other]
        if len(moved) == 2:
            text = f"the right one with its gates {moved[0]} and {moved[1]} swapped"
        yield TensorPrediction("gates-permuted", text, np.concatenate([blocks[k] for k in order], axis=-1), unlikely=0)


@tensor_fault("gate-scaled")
def _gate_scaled(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient is right except for the block of one gate, which is zero or has a factor."""
    names, blocks = _blocks_of_gates(subject)
    for k, name in enumerate(names):
        for factor, words in ((0.0, "is zero"), (-1.0, "has the wrong sign"), (2.0, "is doubled"), (0.5, "is halved")):
            scaled = [factor * block if n == k else block for n, block in enumerate(blocks)]
            text = f"the right one, but for gate {name}, whose block {words}"
            yield TensorPrediction("gate-scaled", text, np.concatenate(scaled, axis=-1))


@tensor_fault("gate-of-another")
def _gate_of_another(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient is right except for the blocks of some gates, which are copies of other gates' blocks."""
    names, blocks = _blocks_of_gates(subject)
    if subject.actual is None or not names:
        if names:
            copied = [blocks[1], *blocks[1:]]
            yield TensorPrediction("gate-of-another", _copies({names[0]: names[1]}), np.concatenate(copied, axis=-1))
        return
    sources: dict[str, str] = {}
    taken = list(blocks)
    for k, (name, block) in enumerate(zip(names, np.split(subject.actual, len(names), axis=-1), strict=True)):
        apart = [float(np.nanmax(np.abs(block - other), initial=0.0)) for other in blocks]
        nearest = int(np.argmin(apart))
        if apart[nearest] < apart[k]:
            sources[name], taken[k] = names[nearest], blocks[nearest]
    if 0 < len(sources) < len(names):
        # The choice of a source for each gate.
        whole = np.concatenate(taken, axis=-1)
        yield TensorPrediction("gate-of-another", _copies(sources), whole, unlikely=len(sources))


def _copies(sources: Mapping[str, str]) -> str:
    return "the right one, but " + " and ".join(f"gate {name} has the block of gate {k}" for name, k in sources.items())


def _blocks_of_gates(subject: Subject) -> tuple[tuple[str, ...], list[ndarray]]:
    """Return the gates of a tensor with several gates side by side, and their blocks, (…, H) each; otherwise none."""
    names = GATE_NAMES[subject.problem.structure.cell]
    if len(names) == 1 or kind_of(subject.tensor) not in ("W_xh", "W_hh", "b_h"):
        return (), []
    return names, np.split(subject.own, len(names), axis=-1)


@tensor_fault("broadcast")
def _broadcast(subject: Subject) -> Iterator[TensorPrediction]:
    """A whole gradient is filled with one element, one row, or their sum or mean."""
    own = subject.own
    if own.size < 2:
        return
    spread = {"the first element": own.flat[0], "the last element": own.flat[-1], "the sum of all elements": own.sum()}
    spread["the mean of all elements"] = own.mean()
    for name, value in spread.items():
        yield TensorPrediction("broadcast", f"{name} of the right one, everywhere", np.full_like(own, value))
    for axis in range(own.ndim if own.ndim > 1 else 0):
        if own.shape[axis] == 1:
            continue
        of_axis = {
            "the first slice": own.take([0], axis),
            "the last slice": own.take([-1], axis),
            "the sum": own.sum(axis, keepdims=True),
            "the mean": own.mean(axis, keepdims=True),
        }
        for name, values in of_axis.items():
            text = f"{name} of the right one along axis {axis}, repeated"
            yield TensorPrediction("broadcast", text, np.broadcast_to(values, own.shape))


@tensor_fault("probabilities")
def _probabilities(subject: Subject) -> Iterator[TensorPrediction]:
    """The outputs are probabilities, the softmax or sigmoid of the right ones."""
    if subject.tensor != "outputs":
        return
    yield TensorPrediction("probabilities", "the softmax of the right ones", softmax(subject.own))
    sigmoid = ACTIVATIONS["sigmoid"].value(subject.own, np.empty_like(subject.own))
    yield TensorPrediction("probabilities", "the sigmoid of the right ones", sigmoid)


@tensor_fault("clipped")
def _clipped(subject: Subject) -> Iterator[TensorPrediction]:
    """A gradient is clipped: no element is larger than some limit."""
    if subject.actual is None:
        limit = float(np.quantile(np.abs(subject.own), 0.6))
        if limit > 0:
            yield TensorPrediction(
                "clipped", f"the right one clipped into ±{limit:.6g}", np.clip(subject.own, -limit, limit)
            )
        return
    limit = float(np.abs(subject.actual[np.isfinite(subject.actual)]).max(initial=0.0))
    at_limit = int((np.abs(subject.actual) == limit).sum())
    if limit > 0 and at_limit > 1 and np.isfinite(limit):
        clipped = np.clip(subject.own, -limit, limit)
        yield TensorPrediction("clipped", f"the right one clipped into ±{limit:.6g}", clipped, fitted=1)


@tensor_fault("updated-weight")
def _updated_weight(subject: Subject) -> Iterator[TensorPrediction]:
    """The gradient is replaced by the weight after a step of gradient descent."""
    weight = _weight(subject)
    if weight is None:
        return
    if subject.actual is None:
        yield TensorPrediction(
            "updated-weight", "the weight after a step of SGD, W − 0.01 dW", weight - 0.01 * subject.own
        )
        return
    rate = _least_squares(subject.own, weight - subject.actual)
    if rate:
        text = f"the weight after a step of SGD, W − {rate:.6g} dW"
        if rate < 0:
            text = f"the weight after a step up the gradient, W + {-rate:.6g} dW"
        yield TensorPrediction("updated-weight", text, weight - rate * subject.own, fitted=1)


@tensor_fault("weight-decay")
def _weight_decay(subject: Subject) -> Iterator[TensorPrediction]:
    """A multiple of the weight is added to its gradient."""
    weight = _weight(subject)
    if weight is None or not weight.any():
        return
    if subject.actual is None:
        yield TensorPrediction("weight-decay", "the right one + 0.01 W", subject.own + 0.01 * weight)
        return
    decay = _least_squares(weight, subject.actual - subject.own)
    if decay:
        text = f"the right one + {decay:.6g} W: weight decay" if decay > 0 else f"the right one − {-decay:.6g} W"
        yield TensorPrediction("weight-decay", text, subject.own + decay * weight, fitted=1)


def _weight(subject: Subject) -> ndarray | None:
    weight = subject.problem.weights.get(subject.tensor)
    return None if weight is None else weight.astype(np.float64)


def _least_squares(basis: ndarray, actual: ndarray) -> float | None:
    """The c with the least |actual − c · basis|² over the known elements; None if there is none."""
    known = np.isfinite(actual)
    a, b = actual[known], basis[known]
    square = float(np.vdot(b, b))
    return float(np.vdot(b, a)) / square if square > 0 and np.isfinite(square) else None
