"""The case of a recurrence: sizes for its letters, and the numbers that its problem is drawn from."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from typing import Any

import numpy as np

from harness.case import checks
from harness.case.arrays import Problem
from harness.case.fields import DrawOptions, Loss, RecurrenceFields, Sizes, ValidCase
from harness.casefile import listed, nearest
from harness.derive.recording import Recording, Sequences
from harness.derive.stepping import StepError
from harness.recurrences import DeclarationError, Recurrence

CHOICES = {
    "dtype": ("float32", "float64"),
    "upstream": ("all", "outputs alone", "last states alone"),
    "state": ("random", "zeros"),
}
"""The values of a draw's fields that are one of a few."""


@dataclass(frozen=True)
class Draw:
    """The numbers of a problem that is made for a recurrence, beside the sizes of its letters.

    Attributes:
        B: the batch.
        T: the time.
        dtype: of every number.
        seed: of the random numbers.
        upstream: which upstream gradients there are: ``all``, ``outputs alone`` or ``last states alone``.
        state: the initial states, ``random`` or ``zeros``; a state that must be positive is random all the same.
        scale: a factor of the inputs, above 1 to saturate gates.
        absent: the optional arrays that are left out.
    """

    B: int = 3
    T: int = 7
    dtype: str = "float64"
    seed: int = 0
    upstream: str = "all"
    state: str = "random"
    scale: float = 1.0
    absent: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, size in (("B", self.B), ("T", self.T)):
            if not isinstance(size, int) or size < 1:
                raise DeclarationError(f"size {name} is {size!r}, but should be a whole number above 0")
        for name, known in CHOICES.items():
            if (given := getattr(self, name)) not in known:
                raise DeclarationError(f"{name} is {given!r}, but should be {listed(map(repr, known))}")

    def named(self, sizes: Mapping[str, int]) -> str:
        """Return the part of a problem's name that distinguishes it from others of the recurrence."""
        said = [
            f"dtype={self.dtype}",
            *(f"{name}={size}" for name, size in {"B": self.B, "T": self.T, **sizes}.items()),
        ]
        said += [f"seed={self.seed}", self.upstream] if self.upstream != "all" else [f"seed={self.seed}"]
        said += [f"{self.state} for states"] if self.state != "random" else []
        said += [f"inputs times {self.scale:g}"] if self.scale != 1 else []
        said += [f"without {name}" for name in self.absent]
        return ",".join(said)


SIZES = {"batch": "B", "time": "T"}
"""The sizes of every case as a case file names them, with the letters that a step's shapes have for them."""

COPIES = 40
"""Arrays of the size of a step's states and inputs that a pass keeps of each step, roughly."""


def in_words(case: ValidCase) -> dict[str, Any]:
    """Return the fields of a recurrence's case as its file could have them."""
    assert case.recurrence is not None
    plain = {name: getattr(case, name) for name in _SHARED}
    draw = {name: value for name, value in case.recurrence["draw"].items() if name in DrawOptions.__annotations__}
    sizes = {"batch": case.sizes.batch, "time": case.sizes.time, **case.recurrence["sizes"]}
    return {**plain, "sizes": sizes, "draw": draw}


_SHARED = [each.name for each in fields(RecurrenceFields) if each.name not in ("sizes", "draw")]


def read(
    given: RecurrenceFields, recurrence: Recurrence, name: str, file: str
) -> tuple[ValidCase | None, list[Problem]]:
    """Make the case that a file's fields describe, or find everything that is wrong with them.

    Args:
        given: the fields, of the right form.
        recurrence: the recurrence that they name.
        name: the case's name.
        file: the case file.
    """
    wrong = [*checks.expectation(given), *_sizes(given, recurrence), *_absent(given, recurrence)]
    if wrong:
        return None, wrong
    letters = {letter: value for letter, value in given.sizes.items() if letter not in SIZES}
    said: dict[str, Any] = {SIZES[size]: value for size, value in given.sizes.items() if size in SIZES}
    draw = Draw(**{**said, **given.draw}, dtype=given.dtype)
    if wrong := list(checks.too_much(_memory_needed(recurrence, draw, letters), draw.T)):
        return None, wrong
    own = {"name": name, "file": file, **{each: getattr(given, each) for each in _SHARED}}
    try:
        case = case_of(recurrence, draw, letters, **own)
    except StepError as refused:  # of a recurrence that another package offers
        return None, [(("cell",), str(refused), "")]
    wrong = list(checks.tolerance(case))
    return (None, wrong) if wrong else (case, [])


def _sizes(given: RecurrenceFields, recurrence: Recurrence) -> Iterator[Problem]:
    """Find the sizes that are none of a recurrence's."""
    known = [*SIZES, *recurrence.letters]
    for letter in given.sizes:
        if letter not in known:
            meant = {**{short: size for size, short in SIZES.items()}, **{each.swapcase(): each for each in known}}
            hint = f"use {meant[letter]}" if letter in meant else nearest(letter, known) or f"there are {listed(known)}"
            yield ("sizes", letter), f"{recurrence.name} has no size {letter!r}", hint


def _absent(given: RecurrenceFields, recurrence: Recurrence) -> Iterator[Problem]:
    """Find the absent arrays that a recurrence needs."""
    there = f"{recurrence.name} may lack {listed(recurrence.optional)}" if recurrence.optional else "leave it out"
    for i, name in enumerate(given.draw.get("absent", ())):
        if name not in recurrence.optional:
            hint = nearest(name, recurrence.optional) or there
            yield ("draw", "absent", i), f"{name!r} is no optional array of {recurrence.name}", hint


def _memory_needed(recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int]) -> int:
    """Estimate how many bytes the case of a recurrence needs at its peak."""
    known = recurrence.sizes(**sizes)
    kinds = (recurrence.inputs, recurrence.state, recurrence.context)
    step = sum(math.prod(shape) for kind in kinds for shape in recurrence.shapes(kind, known, draw.B).values())
    weights = sum(math.prod(shape) for shape in recurrence.shapes(recurrence.weights, known).values())
    return (4 if draw.dtype == "float32" else 8) * (6 * weights + COPIES * draw.T * step)


def case_of(recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int], **said: Any) -> ValidCase:
    """Return the case of a recurrence with given sizes.

    The step runs once, on ones, to learn the shape of its output.

    Args:
        recurrence: the recurrence.
        draw: its batch and time, and how its numbers are drawn.
        sizes: of its letters; each that is left out has a size of its own.
        said: other fields of the case, its name and its file among them.

    Raises:
        DeclarationError: if a size is not the recurrence's.
        StepError: if the step does what a step may not.
    """
    _check_absent(recurrence, draw.absent)
    B, T = draw.B, draw.T
    known = recurrence.sizes(**sizes)
    state = recurrence.shapes(recurrence.state, known, B)
    inputs = {
        **recurrence.shapes(recurrence.inputs, known, B, T),
        **recurrence.shapes(recurrence.context, known, B),
    }
    weights = recurrence.shapes(recurrence.weights, known)
    given = {f"{name}0": shape for name, shape in state.items() if name not in draw.absent}
    there = {f"inputs.{name}": shape for name, shape in inputs.items() if name not in draw.absent}
    held = {name: shape for name, shape in there.items() if name.removeprefix("inputs.") in recurrence.held}
    given |= {name: shape for name, shape in there.items() if name not in held}
    memory = ",strided" if said.get("memory") == "strided" else ""
    own = {"name": f"{recurrence.name}[{draw.named(known)}{memory}]", "file": recurrence.file}
    own |= {"cell": recurrence.name, "dtype": draw.dtype}
    case = ValidCase(
        **{**own, **said},
        sizes=Sizes(B, T, 0, 0),
        loss=Loss("dot"),
        recurrence={
            "declared": recurrence.declared,
            "source": digest(recurrence),
            "draw": asdict(draw),
            "sizes": known,
            "shapes": {
                "weights": {name: shape for name, shape in weights.items() if name not in draw.absent},
                "given": given,
                "held": held,
                "last_state": {f"last.{name}": shape for name, shape in state.items()},
            },
        },
    )
    assert case.recurrence is not None
    case.recurrence["shapes"]["forward"] = {"outputs": _outputs_of(recurrence, case, B, T)}
    return case


def _check_absent(recurrence: Recurrence, absent: Sequence[str]) -> None:
    there = f"it may lack {listed(recurrence.optional)}" if recurrence.optional else "it has none"
    for name in absent:
        if name not in recurrence.optional:
            hint = nearest(name, recurrence.optional) or there
            raise DeclarationError(f"{name!r} is no optional array of {recurrence.name}; {hint}")


def digest(recurrence: Recurrence) -> str:
    """Return a digest of the source of a step, so that an answer follows from the step and not from its name."""
    try:
        source = inspect.getsource(inspect.getmodule(recurrence.step) or recurrence.step)
    except (OSError, TypeError):  # a notebook's cell whose text is gone: what was compiled remains
        source = repr((recurrence.step.__code__.co_code, recurrence.step.__code__.co_consts))
    return blake2b(source.encode(), digest_size=16).hexdigest()


def inputs_of(recurrence: Recurrence) -> list[str]:
    """Return the names of what a step finds among its inputs."""
    return [*recurrence.inputs, *recurrence.context]


def _outputs_of(recurrence: Recurrence, case: ValidCase, B: int, T: int) -> tuple[int, ...]:
    """Return the shape of the outputs, found by one step."""
    assert case.recurrence is not None
    shapes = case.recurrence["shapes"]
    there = {**shapes["given"], **shapes["held"]}
    of_inputs = {name: there.get(f"inputs.{name}") for name in inputs_of(recurrence)}
    one = Sequences(
        recurrence,
        {name: np.ones(shape) for name, shape in shapes["weights"].items()},
        {
            name: np.ones((B, 1, *shape[2:]) if name in recurrence.inputs else shape)
            for name, shape in of_inputs.items()
            if shape is not None
        },
        {name: np.ones(shapes["last_state"][f"last.{name}"]) for name in recurrence.state},
        np.ones((B, 1)),
        {},
    )
    output = Recording(one).outputs[0].shape
    return (B, T, *output[1:])
