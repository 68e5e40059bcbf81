"""The case of a recurrence, alone or in a network: sizes for its letters, and the draw of its problem's numbers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from hashlib import blake2b
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from harness.case import checks
from harness.case.arrays import Problem
from harness.case.fields import DrawOptions, Loss, RecurrenceFields, Sizes, ValidCase
from harness.casefile import listed, nearest
from harness.derive.recording import Recording, Sequences
from harness.derive.stepping import StepError
from harness.recurrences import DeclarationError, Recurrence
from harness.tensors import Shape

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

NETWORK = ("layers", "bidirectional", "lengths", "truncation", "readout", "loss", "targets")
"""The keys of a case file that make a network of a recurrence."""

MOST_LAYERS = 10_000
"""Maximum number of layers; each is Python objects, however small its arrays."""

COPIES = 40
"""Arrays of the size of a step's states and inputs that a pass keeps of each step, roughly."""


def in_words(case: ValidCase) -> dict[str, Any]:
    """Return the fields of a recurrence's case as its file could have them."""
    assert case.recurrence is not None
    plain = {name: getattr(case, name) for name in _SHARED}
    draw = {name: value for name, value in case.recurrence["draw"].items() if name in DrawOptions.__annotations__}
    sizes = {"batch": case.sizes.batch, "time": case.sizes.time, **case.recurrence["sizes"]}
    if case.is_network:
        plain |= {name: getattr(case, name) for name in NETWORK}
        plain["loss"] = asdict(case.loss)
        sizes |= {} if case.sizes.output is None else {"output": case.sizes.output}
    return {**plain, "sizes": sizes, "draw": draw}


_SHARED = [each.name for each in fields(RecurrenceFields) if each.name not in ("sizes", "draw", *NETWORK)]


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
    network = {key: value for key in NETWORK if (value := getattr(given, key)) is not None}
    wrong = [*checks.expectation(given), *_sizes(given, recurrence), *_absent(given, recurrence)]
    if given.layers is not None and given.layers > MOST_LAYERS:
        wrong.append((("layers",), f"{given.layers:,} layers; at most {MOST_LAYERS:,} can be built", ""))
    if wrong:
        return None, wrong
    letters = {letter: value for letter, value in given.sizes.items() if letter in recurrence.letters}
    said: dict[str, Any] = {SIZES[size]: value for size, value in given.sizes.items() if size in SIZES}
    draw = Draw(**{**said, **given.draw}, dtype=given.dtype)
    if wrong := list(checks.too_much(_memory_needed(recurrence, draw, letters, given), draw.T)):
        return None, wrong
    own = {"name": name, "file": file, **{each: getattr(given, each) for each in _SHARED}}
    try:
        if network:
            wrong = list(_misfits(recurrence, draw, recurrence.sizes(**letters), network))
            if wrong:
                return None, wrong
            own["network"] = {**network, "output": given.sizes.get("output")}
        case = case_of(recurrence, draw, letters, **own)
    except StepError as refused:  # of a recurrence that another package offers
        return None, [(("cell",), str(refused), "")]
    wrong = [*(checks.around(case, FilePath(file).parent) if network else ()), *checks.tolerance(case)]
    return (None, wrong) if wrong else (case, [])


def _sizes(given: RecurrenceFields, recurrence: Recurrence) -> Iterator[Problem]:
    """Find the sizes that are none of a recurrence's."""
    known = [*SIZES, *recurrence.letters, *(["output"] if given.readout is not None else [])]
    for letter in given.sizes:
        if letter not in known:
            meant = {**{short: size for size, short in SIZES.items()}, **{each.swapcase(): each for each in known}}
            hint = f"use {meant[letter]}" if letter in meant else nearest(letter, known) or f"there are {listed(known)}"
            if letter == "output":
                hint = "it is the width of a readout; add readout: linear, or remove it"
            yield ("sizes", letter), f"{recurrence.name} has no size {letter!r}", hint


def _absent(given: RecurrenceFields, recurrence: Recurrence) -> Iterator[Problem]:
    """Find the absent arrays that a recurrence needs."""
    there = f"{recurrence.name} may lack {listed(recurrence.optional)}" if recurrence.optional else "leave it out"
    for i, name in enumerate(given.draw.get("absent", ())):
        if name not in recurrence.optional:
            hint = nearest(name, recurrence.optional) or there
            yield ("draw", "absent", i), f"{name!r} is no optional array of {recurrence.name}", hint


def _misfits(
    recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int], network: Mapping[str, Any]
) -> Iterator[Problem]:
    """Find what cannot be put around a step: layers that its outputs cannot feed, a readout of no vector."""
    name, output = recurrence.name, _output_of(recurrence, sizes, draw)
    no_vector = f"an output of {name} has the shape {_shown(output)} and is no vector" if len(output) != 1 else ""
    if network.get("layers", 1) > 1 and (why := no_vector or _not_fed(recurrence)):
        yield ("layers",), f"{why}, so that no layer can read the one below", "use layers: 1"
    elif not output and network.get("bidirectional"):
        yield ("bidirectional",), f"{no_vector}; those of two directions stand side by side in one", "remove it"
    else:
        ways = 2 if network.get("bidirectional") else 1
        for n, of_layer in enumerate(_sizes_of_layers(recurrence, draw, sizes, network.get("layers", 1), ways)):
            if problems := list(checks.too_much(_memory_needed(recurrence, draw, of_layer), draw.T)):
                yield ("layers",), f"layer {n} {problems[0][1]}: each layer is wider than the one below", ""
                return
    if no_vector and network.get("readout") == "linear":
        yield ("readout",), f"{no_vector}; a readout reads one", "remove it"
    if no_vector and (loss := network.get("loss")) is not None and loss.kind != "dot":
        yield ("loss", "kind"), f"{no_vector}; {loss.kind} is of vectors", "use loss: {kind: dot}"
    if network.get("bidirectional") and recurrence.resets:
        problem = f"{recurrence.resets!r} marks first steps of packed sequences, and a reverse direction begins at last"
        yield ("bidirectional",), f"{problem} ones", "remove it"
    if draw.upstream == "last states alone":
        yield ("draw", "upstream"), "the loss of a network is of its outputs", "remove it"
    if draw.upstream != "all" and "loss" in network and network["loss"].kind != "dot":
        yield ("draw", "upstream"), f"the loss {network['loss'].kind} makes its own upstream gradient", "remove it"


def _not_fed(recurrence: Recurrence) -> str:
    """Return the reason why an output cannot be the input of a layer above; empty if it can."""
    name, declared = recurrence.name, {**recurrence.inputs, **recurrence.context}
    if recurrence.fed is None:
        *free, last = [f"{each!r}" for each in recurrence.inputs if each not in recurrence.held]
        return f"{name} has the inputs {', '.join(free)} and {last}"
    letter = declared.pop(recurrence.fed)
    if letter not in recurrence.letters:
        return f"the input {recurrence.fed!r} of {name} has the shape {letter!r}, which is no letter"
    for each, shape in declared.items():
        if letter in shape.replace("*", " ").split():
            return f"every layer reads {each!r}, whose shape {shape!r} has the letter of the input {recurrence.fed!r}"
    return ""


def _shown(shape: Shape) -> str:
    return f"({', '.join(['B', *map(str, shape)])})"


def _memory_needed(
    recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int], given: RecurrenceFields | None = None
) -> int:
    """Estimate how many bytes the case of a recurrence needs at its peak."""
    known = recurrence.sizes(**sizes)
    kinds = (recurrence.inputs, recurrence.state, recurrence.context)
    step = sum(math.prod(shape) for kind in kinds for shape in recurrence.shapes(kind, known, draw.B).values())
    weights = sum(math.prod(shape) for shape in recurrence.shapes(recurrence.weights, known).values())
    blocks = 1 if given is None else (given.layers or 1) * (2 if given.bidirectional else 1)
    return (4 if draw.dtype == "float32" else 8) * blocks * (6 * weights + COPIES * draw.T * step)


def case_of(recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int], **said: Any) -> ValidCase:
    """Return the case of a recurrence with given sizes.

    The step runs once in each layer, on ones, to learn the shape of its output.

    Args:
        recurrence: the recurrence.
        draw: its batch and time, and how its numbers are drawn.
        sizes: of its letters; each that is left out has a size of its own.
        said: other fields of the case, its name and its file among them. ``network`` has those of a network around it,
            by the names of ``NETWORK``, and ``output``, the width of its readout.

    Raises:
        DeclarationError: if a size is not the recurrence's.
        StepError: if the step does what a step may not.
    """
    _check_absent(recurrence, draw.absent)
    known, network = recurrence.sizes(**sizes), said.pop("network", None)
    around = {"loss": Loss("dot"), **(network or {})}
    output = around.pop("output", None)
    memory = ",strided" if said.get("memory") == "strided" else ""
    own = {"name": f"{recurrence.name}[{draw.named(known)}{memory}]", "file": recurrence.file}
    own |= {"cell": recurrence.name, "dtype": draw.dtype}
    in_network = network is not None
    shapes = _in_network(recurrence, draw, known, around, output) if in_network else _alone(recurrence, draw, known)
    return ValidCase(
        **{**own, **said},
        **around,
        sizes=Sizes(draw.B, draw.T, 0, 0, output),
        recurrence={
            "declared": recurrence.declared,
            "source": digest(recurrence),
            "draw": asdict(draw),
            "sizes": known,
            "shapes": shapes,
            "network": in_network,
        },
    )


Shapes = dict[str, dict[str, Shape]]
"""The shapes of each kind of array, as a ``RecurrenceStructure`` has them."""


def _alone(recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int]) -> Shapes:
    """Return the shapes of a recurrence alone."""
    states = recurrence.shapes(recurrence.state, sizes, draw.B)
    given = {f"{name}0": shape for name, shape in states.items() if name not in draw.absent}
    inputs = _shapes_of_inputs(recurrence, draw, sizes)
    weights = recurrence.shapes(recurrence.weights, sizes)
    return {
        "weights": {name: shape for name, shape in weights.items() if name not in draw.absent},
        "given": given | {f"inputs.{name}": shape for name, shape in inputs.items() if name not in recurrence.held},
        "held": {f"inputs.{name}": shape for name, shape in inputs.items() if name in recurrence.held},
        "last_state": {f"last.{name}": shape for name, shape in states.items()},
        "forward": {"outputs": (draw.B, draw.T, *_output_of(recurrence, sizes, draw))},
    }


def _in_network(
    recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int], around: Mapping[str, Any], output: int | None
) -> Shapes:
    """Return the shapes of a network; above the first layer, the width of a layer's outputs is that of the input."""
    weights: dict[str, Shape] = {}
    states: dict[str, Shape] = {}
    inputs, names = _shapes_of_inputs(recurrence, draw, sizes), recurrence.in_network
    ways = ("", ".reverse") if around.get("bidirectional") else ("",)
    of_layers = list(_sizes_of_layers(recurrence, draw, sizes, around.get("layers", 1), len(ways)))
    for n, of_layer in enumerate(of_layers):
        for way in ways:
            shapes = recurrence.shapes(recurrence.weights, of_layer)
            weights |= {f"layer{n}{way}.{name}": shape for name, shape in shapes.items() if name not in draw.absent}
            shapes = recurrence.shapes(recurrence.state, of_layer, draw.B)
            states |= {f"layer{n}{way}.{name}0": shape for name, shape in shapes.items()}
    outputs = _output_of(recurrence, of_layers[-1], draw)
    if len(ways) > 1:
        outputs = (*outputs[:-1], len(ways) * outputs[-1])
    if output is not None:
        weights |= {"readout.W_hy": (*outputs, output), "readout.b_y": (output,)}
        outputs = (output,)
    absent = {name: shape for name, shape in states.items() if name.rpartition(".")[2][:-1] in draw.absent}
    given = {name: shape for name, shape in states.items() if name not in absent}
    return {
        "weights": weights,
        "given": given | {names[name]: shape for name, shape in inputs.items() if name not in recurrence.held},
        "held": {names[name]: shape for name, shape in inputs.items() if name in recurrence.held},
        "absent": absent,
        "last_state": {},
        "forward": {"outputs": (draw.B, draw.T, *outputs)},
    }


def _sizes_of_layers(
    recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int], layers: int, ways: int
) -> Iterator[Mapping[str, int]]:
    """Yield the sizes of each layer: above the first, the input is as wide as the outputs of the layer below."""
    yield sizes
    same = False
    for _ in range(1, layers):
        if not same:
            wider = {**sizes, recurrence.inputs[str(recurrence.fed)]: ways * _output_of(recurrence, sizes, draw)[-1]}
            sizes, same = wider, wider == sizes
        yield sizes


def _shapes_of_inputs(recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int]) -> dict[str, Shape]:
    """Return the shape of each input and context array that is there."""
    inputs = recurrence.shapes(recurrence.inputs, sizes, draw.B, draw.T)
    inputs |= recurrence.shapes(recurrence.context, sizes, draw.B)
    return {name: shape for name, shape in inputs.items() if name not in draw.absent}


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


def _output_of(recurrence: Recurrence, sizes: Mapping[str, int], draw: Draw) -> Shape:
    """Return the shape of an output of one sequence, found by one step on ones."""
    first = replace(draw, T=1)

    def ones(shapes: Mapping[str, Shape]) -> dict[str, Any]:
        return {name: np.ones(shape) for name, shape in shapes.items() if name not in draw.absent}

    states = recurrence.shapes(recurrence.state, sizes, draw.B)
    one = Sequences(
        recurrence,
        ones(recurrence.shapes(recurrence.weights, sizes)),
        ones(_shapes_of_inputs(recurrence, first, sizes)),
        {name: np.ones(shape) for name, shape in states.items()},
        np.ones((draw.B, 1)),
        {},
    )
    return Recording(one).outputs[0].shape[1:]
