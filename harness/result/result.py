"""A result: the answer of one implementation to one problem, in canonical tensors."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy import ndarray

from harness.case.training import LOSS_CURVE, TRAINED, TRAINING
from harness.implementations import Implementation, Partial, Returned, Unsupported
from harness.layout import layout_named
from harness.layout.names import why_not
from harness.problem import Problem
from harness.result.returned import NotReadable, array_of, named
from harness.tensors import Structure

PER_STEP = tuple(f"{TRAINING}{name}" for name in ("lr", "gradient_norm"))
"""Names of the numbers of each training step that are reported, but not compared."""

OF_TRAINING = {LOSS_CURVE, *PER_STEP}
"""Names that an implementation may return for its training, besides the weights."""

MOST_UNKNOWN = 100
"""Maximum number of tensors with unknown names that are kept; the rest are counted."""


@dataclass(frozen=True, eq=False)
class Result:
    """The answer of an implementation.

    Attributes:
        loss: The loss, of shape (); None if it was not provided.
        outputs: The outputs, (B, T, H) or (B, T, O); None if they were not provided.
        gradients: The gradients by canonical name. A tensor that could not be converted, because its name is unknown or
            its shape is wrong, is kept as it was returned.
        seconds: The run time of the implementation in seconds.
        known: For each partly known tensor, the elements that are known, bool; the others have no meaning.
        half_units: For each printed tensor, half a unit in the last digit of each element, absolute.
        directional: Derivatives of the loss along the first of ``harness.precision.perturbations``, or None.
        misfits: For each tensor that could not be converted, the reason, and what it should be.
        training: The results of training, if the case has one: the loss curve ``training.loss`` (steps,), and each
            weight after the last step, such as ``trained.layer0.W_xh``.
        per_step: Numbers of each training step that are reported and not compared, (steps,) each: ``lr``, and
            ``gradient_norm``, the norm before it is limited.
        untrained: The reason why the training of the case is missing.
        problem: The problem that it answers, in the split layout; None if unknown.
        implementation: The implementation that returned it; None if unknown.
    """

    loss: ndarray | None
    outputs: ndarray | None
    gradients: Mapping[str, ndarray]
    seconds: float
    known: Mapping[str, ndarray] = field(default_factory=dict)
    half_units: Mapping[str, ndarray] = field(default_factory=dict)
    directional: ndarray | None = None
    misfits: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, ndarray] = field(default_factory=dict)
    per_step: Mapping[str, ndarray] = field(default_factory=dict)
    untrained: str = ""
    problem: Problem | None = None
    implementation: Implementation | None = None

    @property
    def tensors(self) -> dict[str, ndarray]:
        """All tensors that were provided: ``loss``, ``outputs``, ``directional``, the gradients, then the training."""
        forward = {"loss": self.loss, "outputs": self.outputs, "directional": self.directional}
        return {**{name: each for name, each in forward.items() if each is not None}, **self.gradients, **self.training}

    def __repr__(self) -> str:
        loss = f"loss {self.loss}, " if self.loss is not None and self.loss.shape == () else ""
        outputs = f"outputs {self.outputs.shape}, " if self.outputs is not None else ""
        return f"<Result: {loss}{outputs}{len(self.gradients)} gradients>"

    def _repr_html_(self) -> str:
        from harness.result.shown import html_of

        return html_of(self)

    def only(self, names: Collection[str]) -> Result:
        """Return the result with these tensors alone."""

        def chosen(arrays: Mapping[str, ndarray]) -> dict[str, ndarray]:
            return {name: array for name, array in arrays.items() if name in names}

        return replace(
            self,
            loss=self.loss if "loss" in names else None,
            outputs=self.outputs if "outputs" in names else None,
            gradients=chosen(self.gradients),
            known=chosen(self.known),
            half_units=chosen(self.half_units),
            directional=self.directional if "directional" in names else None,
            training=chosen(self.training),
        )


@dataclass(frozen=True, eq=False)
class Taken:
    """The values that an implementation's function returned, by name, before they are converted.

    Attributes:
        given: The values as they were returned; for a ``Partial``, its values.
        arrays: Copies of them.
        unknown: The names that no tensor of the case has, at most ``MOST_UNKNOWN``.
        more: The number of unknown names that are left out, with their values.
    """

    given: Mapping[str, Any]
    arrays: Mapping[str, ndarray | Partial]
    unknown: Sequence[str]
    more: int


def run(implementation: Implementation, problem: Problem) -> Result:
    """Run an implementation, in this process.

    Args:
        implementation: The implementation.
        problem: The problem, in the split layout.

    Raises:
        Unsupported: If it cannot represent the problem.
        Exception: Any exception that the implementation raises.
    """
    if reason := implementation.reason_against(problem.case):
        raise Unsupported(reason)
    given = problem.in_layout(implementation.layout).copy()  # a copy, so that it cannot change the inputs of others
    start = time.perf_counter()
    returned = implementation.function(given)
    seconds = time.perf_counter() - start
    return read(returned, implementation.layout, problem, seconds)


def read(returned: Returned | Taken, layout: str, problem: Problem, seconds: float) -> Result:
    """Read the mapping that an implementation's function returned, and convert its gradients.

    Args:
        returned: Arrays, lists, numbers or tensors by name; or these as ``taken`` returned them.
        layout: The layout of the names.
        problem: The problem that it answers.
        seconds: The run time in seconds.

    Raises:
        NotReadable: If it is no mapping, or has a value that is neither an array of numbers nor a valid ``Partial``.
    """
    structure = problem.structure
    held = returned if isinstance(returned, Taken) else taken(returned, layout, problem)
    there = dict(held.arrays)
    outputs = there.get("outputs")
    if isinstance(outputs, ndarray) and problem.is_last_step(outputs.shape):
        covered = problem.in_last_step(np.ones(outputs.shape, np.bool_))  # (B, T, O)
        there["outputs"] = Partial(problem.in_last_step(outputs), covered)
    arrays = {name: values_of(each) for name, each in there.items()}
    partial = {name: each for name, each in there.items() if isinstance(each, Partial)}
    for name, each in partial.items():
        checked(name, each)
        if layout != "split" and each.half_unit.any():
            raise NotReadable(f"half_unit of {name} is understood in the layout split, not in {layout}")
    known = _known(arrays, partial, layout, structure)
    half_units = {name: np.array(each.half_unit, np.float64) for name, each in partial.items() if each.half_unit.any()}
    loss, outputs, directional = (arrays.pop(name, None) for name in ("loss", "outputs", "directional"))
    training, per_step = _training(arrays, layout, structure)
    expected = layout_named(layout).shapes(structure)
    weights = {name: array for name, array in arrays.items() if array.shape == expected.get(name)}
    others = {name: array for name, array in arrays.items() if name not in weights}
    # Unknown elements contradict nothing.
    marked = {name: _marked(array, partial.get(name)) for name, array in weights.items()}
    agreeing, contradictions = layout_named(layout).agreeing(marked, structure)
    agreeing = {name: agreeing[name] if name in contradictions else array for name, array in weights.items()}
    gradients = {**layout_named(layout).gradients_to_canonical(agreeing, structure), **others}
    in_order = [name for name in structure.gradients if name in gradients]
    gradients = {name: gradients[name] for name in dict.fromkeys([*in_order, *gradients])}
    not_weights = {**structure.given, **structure.last_state}
    misplaced = {name: array for name, array in others.items() if array.shape != not_weights.get(name)}
    why = {name: why_not(name, array.shape, layout, structure, held.arrays) for name, array in misplaced.items()}
    misfits = {name: reason for name, reason in why.items() if reason}
    gradients |= {name: weights[name] for name in contradictions if name in weights}
    misfits |= contradictions
    if held.more:
        first = held.unknown[0]
        more = f"{held.more:,} more names, which are left out here, are no tensors of this case"
        misfits[first] = "; ".join(filter(None, [misfits.get(first), more]))
    return Result(loss, outputs, gradients, seconds, known, half_units, directional, misfits, training, per_step)


def _marked(array: ndarray, partial: Partial | None) -> ndarray:
    """Return an array with NaN in its unknown elements."""
    return array if partial is None else np.where(partial.known, array, np.nan)


def _training(
    arrays: dict[str, ndarray], layout: str, structure: Structure
) -> tuple[dict[str, ndarray], dict[str, ndarray]]:
    """Return the results of training among the arrays: those that are compared, in the split layout, and the rest."""
    found = {
        name: arrays.pop(name) for name in list(arrays) if name.startswith(TRAINED) or name in (LOSS_CURVE, *PER_STEP)
    }
    if not found:
        return {}, {}
    weights = {name.removeprefix(TRAINED): each for name, each in found.items() if name.startswith(TRAINED)}
    expected = layout_named(layout).shapes(structure)
    fitting = {name: each for name, each in weights.items() if each.shape == expected.get(name)}
    converted = {**layout_named(layout).to_canonical(fitting, structure)}
    converted |= {name: each for name, each in weights.items() if name not in fitting}
    curve = {LOSS_CURVE: found[LOSS_CURVE]} if LOSS_CURVE in found else {}
    trained = {
        f"{TRAINED}{name}": converted[name]
        for name in dict.fromkeys([*structure.weights, *converted])
        if name in converted
    }
    return {**curve, **trained}, {name.removeprefix(TRAINING): found[name] for name in PER_STEP if name in found}


def taken(returned: Any, layout: str, problem: Problem) -> Taken:
    """Copy the returned tensors of the problem, and the first ``MOST_UNKNOWN`` others, into arrays.

    Args:
        returned: Arrays, lists, numbers, tensors or ``Partial`` by name.
        layout: The layout of the names.
        problem: The problem that it answers; Python's own numbers get its dtype.

    Raises:
        NotReadable: If it is no such mapping.
    """
    there = named(returned)
    known = _names(layout, problem.structure)
    unknown = [name for name in there if name not in known]
    for name in unknown[MOST_UNKNOWN:]:
        del there[name]
    given = {name: values_of(each) for name, each in there.items()}
    arrays: dict[str, ndarray | Partial] = {}
    for name, each in there.items():
        array = array_of(name, given[name], problem.case.dtype)
        in_part = isinstance(each, Partial)
        arrays[name] = Partial(array, np.array(each.known), np.array(each.half_unit)) if in_part else array
    return Taken(given, arrays, unknown[:MOST_UNKNOWN], len(unknown[MOST_UNKNOWN:]))


def _names(layout: str, structure: Structure) -> set[str]:
    """Return all names that an answer to a problem may have."""
    weights = layout_named(layout).shapes(structure)
    forward = {"loss", "outputs", "directional", *structure.last_state, *structure.given}
    return {*forward, *weights, *(f"{TRAINED}{name}" for name in weights), *OF_TRAINING}


def values_of(returned: Any) -> Any:
    """Return the values of a ``Partial``, and anything else as it is."""
    return returned.values if isinstance(returned, Partial) else returned


def checked(name: str, partial: Partial) -> Partial:
    """Return a partly known tensor after checking that its arrays fit together.

    Raises:
        NotReadable: If they do not, or if no element is known.
    """
    shape = np.shape(partial.values)
    for what, array in (("known", partial.known), ("half_unit", partial.half_unit)):
        if np.shape(array) != shape:
            raise NotReadable(f"{what} of {name} has shape {np.shape(array)}, but its values have {shape}")
    if partial.known.dtype != np.bool_:
        raise NotReadable(f"known of {name} should be an array of bool, but has dtype {partial.known.dtype}")
    if not partial.known.any():
        raise NotReadable(f"nothing of {name} is known; leave it out")
    return partial


def _known(
    arrays: Mapping[str, ndarray], partial: Mapping[str, Partial], layout: str, structure: Structure
) -> dict[str, ndarray]:
    """Convert the known elements to the canonical layout: an element is known if all that it is made of are known."""
    if not partial:
        return {}
    marked = {name: np.zeros(array.shape) for name, array in arrays.items()}
    for name, each in partial.items():
        marked[name][~each.known] = np.nan
    expected = layout_named(layout).shapes(structure)
    weights = {name: each for name, each in marked.items() if each.shape == expected.get(name)}
    others = {name: each for name, each in marked.items() if name not in weights}
    converted = {**others, **layout_named(layout).gradients_to_canonical(weights, structure)}
    return {name: ~np.isnan(each) for name, each in converted.items() if np.isnan(each).any()}
