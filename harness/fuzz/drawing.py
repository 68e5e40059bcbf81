"""Small random valid cases with every feature of a case file.

The fields are those of ``harness.case.fields``, in its order. A field that does not depend on others is drawn by its
type; one that must fit others has a rule here. A field that is added later is drawn by its type. If its type is
unknown, the search stops with an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from typing import Any

from harness.case.fields import Fields, Loss, NativeWeights, Sizes, Training
from harness.fuzz import arrays
from harness.fuzz.by_type import TENTHS, hints, is_required, members, of_type, options
from harness.fuzz.source import Source, one_in, one_of, whole
from harness.tensors import Structure

Data = dict[str, Any]
Rule = Callable[[Source, Data], Any]
"""A function that chooses a field's value, given the fields that were drawn before; None to leave it out."""

NOT_DRAWN = {
    "about": "written for a found case",
    "implementations": "the option --impl",
    "tolerance": "the search tests the default one",
    "expect": "unknown for a random case",
    "because": "goes with expect",
    "published": "printed numbers, which random ones are not",
}
"""The fields that are not drawn, each with the reason."""

SIZES = {"batch": (1, 2, 3, 4), "time": (1, 2, 3, 4, 1, 2, 3, 8), "input": (1, 2, 3, 5), "hidden": (1, 2, 3, 4, 6)}
"""The values of each size; other sizes are drawn like ``hidden``. They are small, so that a search runs many cases."""

LAYERS = (1, 2, 1, 3)
MOST_TRAINING_STEPS = 3


def drawn(source: Source, fixed: Mapping[str, Any] | None = None, frameworks: Collection[str] = ()) -> Data:
    """Draw the data of a case file.

    Args:
        source: The source of the choices.
        fixed: Fields with fixed values, such as ``{"cell": "lstm"}``.
        frameworks: The frameworks that a case's weights may come from.

    Returns:
        Valid data.
    """
    data: Data = dict(fixed or {})
    rules: dict[str, Rule] = {**RULES, "weights": partial(_weights, frameworks=frameworks)}
    for name in in_order():
        if name not in data:
            data[name] = rules[name](source, data) if name in rules else _own(source, Fields, name)
    return {name: value for name, value in data.items() if value is not None}


@cache
def in_order() -> tuple[str, ...]:
    """Return the names of the fields that are drawn; those on which others depend come first."""
    names = [field.name for field in dataclasses.fields(Fields) if field.name not in NOT_DRAWN]
    first = ("cell", "reset", "readout", "bidirectional", "layers", "sizes", "loss")
    return (*first, *(name for name in names if name not in first))


def _own(source: Source, of: Any, name: str) -> Any:
    """Draw a field by its type alone."""
    return of_type(source, hints(of)[name], _default(of, name))


@cache
def _default(of: Any, name: str) -> Any:
    return next(each.default for each in dataclasses.fields(of) if each.name == name)


def structure_of(data: Mapping[str, Any]) -> Structure:
    """Return the structure of the case of these data."""
    s = data["sizes"]
    sizes = (s["batch"], s["time"], s["input"], s["hidden"], s.get("output"))
    reset, directions = data.get("reset") or "after", 2 if data.get("bidirectional") else 1
    return Structure(data["cell"], data["layers"], *sizes, reset, directions)


def _activation(source: Source, data: Data) -> Any:
    drawn_by_type = _own(source, Fields, "activation")  # drawn for any cell, since fewer choices would count as simpler
    return drawn_by_type if data["cell"] == "rnn" else None


def _reset(source: Source, data: Data) -> Any:
    drawn_by_type = _own(source, Fields, "reset")
    return drawn_by_type if data["cell"] == "gru" else None


def _bidirectional(source: Source, data: Data) -> Any:
    del data
    return one_in(source, 4)


def _layers(source: Source, data: Data) -> Any:
    del data
    return one_of(source, LAYERS)


def _sizes(source: Source, data: Data) -> Any:
    names = [each.name for each in dataclasses.fields(Sizes) if each.name != "output" or data["readout"] == "linear"]
    return {name: one_of(source, SIZES.get(name, SIZES["hidden"])) for name in names}


def _loss(source: Source, data: Data) -> Any:
    names = [each.name for each in dataclasses.fields(Loss) if each.name != "steps"]
    T, loss = data["sizes"]["time"], {name: _own(source, Loss, name) for name in names}
    if one_in(source, 3):
        steps = {source.index(T) for _ in range(whole(source, 1, 3))}
        from_the_end = T if one_in(source, 2) else 0
        loss["steps"] = [step - from_the_end for step in sorted(steps)]
    return loss


def _lengths(source: Source, data: Data) -> Any:
    if not one_in(source, 4):
        return None
    B, T = data["sizes"]["batch"], data["sizes"]["time"]
    steps = data["loss"].get("steps", "all")
    first = 0 if steps == "all" else min(step % T for step in steps)
    # The longest sequence must have a step with a loss.
    return [whole(source, first + 1, T), *(whole(source, 1, T) for _ in range(B - 1))]


def _weights(source: Source, data: Data, frameworks: Collection[str] = ()) -> Any:
    structure = structure_of(data)
    fits = [each for each in native_frameworks() if each in frameworks and _has_cell(each, structure)]
    match one_of(source, ["one spec", "one spec", "one spec", "by name", *(["native"] if fits else [])]):
        case "one spec":
            return arrays.spec(source)
        case "by name":
            return arrays.by_name(source, structure.weights)
        case _:
            return {**of_type(source, NativeWeights), "from": one_of(source, fits)}


@cache
def native_frameworks() -> tuple[str, ...]:
    """Return the frameworks that a case's weights can come from."""
    return tuple(options(hints(NativeWeights)["from"].__args__[0]))


def _has_cell(framework: str, structure: Structure) -> bool:
    return structure.cell != "gru" or framework == "keras" or (framework == "torch") == (structure.reset == "after")


def _inputs(source: Source, data: Data) -> Any:
    return arrays.spec(source, structure_of(data).inputs)


def _initial_state(source: Source, data: Data) -> Any:
    if one_in(source, 4):
        return arrays.by_name(source, structure_of(data).initial_state)
    return arrays.spec(source)


def _targets(source: Source, data: Data) -> Any:
    kind, shape = data["loss"]["kind"], structure_of(data).outputs
    if kind == "dot":
        return None
    if kind == "softmax_cross_entropy":
        return arrays.labels(source, shape[:2], shape[2])
    return arrays.spec(source, shape)


def _upstream(source: Source, data: Data) -> Any:
    return arrays.spec(source, structure_of(data).outputs) if data["loss"]["kind"] == "dot" else None


def _truncation(source: Source, data: Data) -> Any:
    wanted = one_in(source, 3)
    if data["bidirectional"] or not wanted:
        return None
    kinds = [each for each in members(hints(Fields)["truncation"]).values() if hasattr(each, "__annotations__")]
    return of_type(source, one_of(source, kinds))


def _training(source: Source, data: Data) -> Any:
    if not one_in(source, 12):
        return None
    training: Data = {}
    for key, annotation in hints(Training).items():
        # A key that is left out is drawn, too, so that one key shrinks without another.
        wanted = is_required(Training, key) or one_in(source, 3)
        value = _IN_TRAINING[key](source, data) if key in _IN_TRAINING else of_type(source, annotation)
        if wanted and value is not None:
            training[key] = value
    return training


def _optimizer(source: Source, data: Data) -> Any:
    del data
    kind = one_of(source, list(members(hints(Training)["optimizer"])))
    return {kind: {"lr": one_of(source, TENTHS) / 20}}


def _batch(source: Source, data: Data) -> Any:
    B, reduction, lengths = data["sizes"]["batch"], data["loss"]["reduction"], data.get("lengths")
    batch = one_of(source, [n for n in range(1, B + 1) if B % n == 0])
    # Sequences without a step with a loss have no mean loss.
    return None if lengths and reduction == "mean" else batch


def _carry_state(source: Source, data: Data) -> Any:
    wanted = one_in(source, 2)
    return None if data["bidirectional"] or data.get("lengths") else wanted


_IN_TRAINING: dict[str, Rule] = {
    "steps": lambda source, _: whole(source, 1, MOST_TRAINING_STEPS),
    "optimizer": _optimizer,
    "batch": _batch,
    "carry_state": _carry_state,
    "frozen": lambda source, data: [one_of(source, list(structure_of(data).weights))],
}
"""The keys of a training that must fit the rest of the case, or whose numbers must be small."""

RULES: dict[str, Rule] = {
    "activation": _activation,
    "reset": _reset,
    "bidirectional": _bidirectional,
    "layers": _layers,
    "sizes": _sizes,
    "loss": _loss,
    "lengths": _lengths,
    "weights": _weights,
    "inputs": _inputs,
    "initial_state": _initial_state,
    "targets": _targets,
    "upstream": _upstream,
    "truncation": _truncation,
    "training": _training,
}
"""The rules of the fields that must fit others."""
