"""Checks that the types of the fields cannot make: shapes, steps, labels and names fit each other and the machine.

Each check is a generator of (path, problem, hint) over a case whose fields have the right form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from harness.case import arrays, checkpoints, published, tolerances, training
from harness.case.arrays import Problem
from harness.case.fields import Fields, RecurrenceFields, ValidCase, made_elsewhere, spec_kind
from harness.casefile import nearest
from harness.tensors import GATES, Shape


def problems(case: Fields, folder: FilePath, *, anywhere: bool = False) -> Iterator[Problem]:
    """Find all mistakes in a case whose fields have the right form.

    Args:
        case: The case.
        folder: The folder of its file, for the arrays that it reads.
        anywhere: True if its checkpoint may lie outside that folder, because the file does not name it.
    """
    too_large = list(_memory(case))
    yield from too_large
    if not too_large:  # the other checks name every tensor and walk the arrays
        for check in _CHECKS:
            yield from check(case)
        yield from _arrays(case, folder)
        yield from checkpoints.problems(case, folder, anywhere=anywhere)


def around(case: ValidCase, folder: FilePath) -> Iterator[Problem]:
    """Find the mistakes in what is put around the step of a recurrence.

    Args:
        case: The case of a network of the recurrence.
        folder: The folder of its file, for the targets that it reads.
    """
    for check in (_readout, _lengths, _directions, _steps):
        yield from check(case)
    if case.loss.kind == "dot" and case.targets is not None:
        yield ("targets",), "the loss dot has no targets", "it multiplies the outputs with an upstream gradient"
    elif case.targets is not None:
        yield from _of_specs(case, _targets(case), folder)


def _cell(case: Fields) -> Iterator[Problem]:
    if case.cell != "rnn" and case.activation != "tanh":
        yield ("activation",), f"the activation of {_a(case.cell)} is tanh", "remove it, or use cell: rnn"
    if case.cell != "gru" and case.reset is not None:
        yield ("reset",), f"only a gru has a reset gate, and this is {_a(case.cell)}", "remove it, or use cell: gru"
    native = case.weights.get("from") if isinstance(case.weights, dict) else None
    for framework, reset in (("torch", "after"), ("tf1", "before")):
        if case.cell == "gru" and native == framework and case.reset != reset:
            yield (
                ("weights", "from"),
                f"a gru of {framework} has its reset {reset} the product, and this one {case.reset} it",
                f"use reset: {reset}, or weights from keras, which has both",
            )


def _a(cell: str) -> str:
    return f"a {cell}" if cell == "gru" else f"an {cell}"


def _readout(case: Fields) -> Iterator[Problem]:
    if case.readout == "linear" and case.sizes.output is None:
        yield ("sizes", "output"), "a linear readout needs its width", "add output to sizes"
    if case.readout == "none" and case.sizes.output is not None:
        yield ("sizes", "output"), "there is no readout to have a width", "add readout: linear, or remove it"


def _steps(case: Fields) -> Iterator[Problem]:
    T = case.sizes.time
    if case.loss.steps != "all":
        seen: set[int] = set()
        for i, step in enumerate(case.loss.steps):
            if not -T <= step < T:
                yield ("loss", "steps", i), f"step {step} should be from {-T} to {T - 1}: sizes.time is {T}", ""
            elif step % T in seen:
                yield ("loss", "steps", i), f"step {step} is already covered", ""
            seen.add(step % T)


def _upstream(case: Fields) -> Iterator[Problem]:
    if case.loss.kind == "dot":
        if case.upstream is None:
            yield ("upstream",), "the loss dot needs an upstream gradient", "add upstream: {normal: 1.0, seed: 1}"
        if case.targets is not None:
            yield ("targets",), "the loss dot has no targets", "it is upstream that dot multiplies the outputs with"
    elif case.upstream is not None:
        yield ("upstream",), f"the loss {case.loss.kind} makes its own upstream gradient", "use loss: {kind: dot}"


def _lengths(case: Fields) -> Iterator[Problem]:
    B, T = case.sizes.batch, case.sizes.time
    if case.lengths is None:
        return
    if len(case.lengths) != B:
        hint = "give one for each sequence"
        problem = f"a list of {len(case.lengths)} should be a list of {B}: sizes.batch is {B}"
        yield ("lengths",), problem, hint
    for b, length in enumerate(case.lengths):
        if length > T:
            yield ("lengths", b), f"a length of {length} should be from 1 to {T}: sizes.time is {T}", ""
    if case.loss.steps != "all" and max(case.lengths) <= min(case.steps):
        problem = f"no sequence has a step that the loss covers: the longest has {_counted(max(case.lengths), 'step')}"
        yield ("loss", "steps"), problem, "negative steps count from sizes.time, not from a sequence's own end"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _directions(case: Fields) -> Iterator[Problem]:
    if case.bidirectional and case.truncation != "none":
        problem = "a bidirectional layer has no truncated gradient: one direction's past is the other's future"
        yield ("truncation",), problem, "remove it, or bidirectional"


def expectation(case: Fields | RecurrenceFields) -> Iterator[Problem]:
    """Find what is wrong with what a case expects: a mismatch has a reason, and a match has none."""
    if case.expect == "mismatch" and not case.because:
        yield ("expect",), "a case that expects a mismatch must say why", "add because: ..."
    if case.expect == "match" and case.because is not None:
        yield ("because",), "only a case that expects a mismatch has a reason for it", "add expect: mismatch"


def tolerance(case: Fields) -> Iterator[Problem]:
    """Find what is wrong with the tolerance of a case."""
    if case.tolerance is None:
        return
    names = [*case.structure.tensors, *training.tensors(case)]
    for path, problem, hint in tolerances.mistakes(case.tolerance, names):
        yield ("tolerance", *path), problem, hint


def _names(case: Fields) -> Iterator[Problem]:
    structure = case.structure
    for key, shapes, complete in (
        ("weights", structure.weights, True),
        ("initial_state", structure.initial_state, False),
    ):
        specs = getattr(case, key)
        if spec_kind(specs) or made_elsewhere(specs):
            continue
        for name in specs:
            if name not in shapes and name != "default":
                yield (key, name), "no tensor has this name here", nearest(name, [*shapes, "default"])
        missing = [name for name in shapes if name not in specs]
        if complete and missing and "default" not in specs:
            yield (key,), f"nothing is given for {missing[0]}", "add it, or a default"


def _arrays(case: Fields, folder: FilePath) -> Iterator[Problem]:
    return _of_specs(case, _specs(case), folder)


Spec = tuple[tuple[str, ...], Any, str, Shape, int | None]
"""An array spec with its tensor: path, spec, name, shape, and the number of classes for labels."""


def _of_specs(case: Fields, specs: Iterable[Spec], folder: FilePath) -> Iterator[Problem]:
    for path, spec, tensor, shape, labels in specs:
        wrong = list(arrays.problems(spec, tensor, shape, folder, labels))
        wrong = wrong or ([] if labels is not None else list(arrays.too_large(spec, case.dtype)))
        for below, problem, hint in wrong:
            yield (*path, *below), problem, hint


def _specs(case: Fields) -> Iterator[Spec]:
    structure = case.structure
    yield ("inputs",), case.inputs, "inputs", structure.inputs, None
    groups = (
        ("weights", case.weights, structure.weights),
        ("initial_state", case.initial_state, structure.initial_state),
    )
    for key, specs, shapes in groups:
        if made_elsewhere(specs):
            continue
        for name, shape in shapes.items():
            if spec_kind(specs):
                yield (key,), specs, name, shape, None
            elif isinstance(specs, dict) and (name in specs or "default" in specs):
                at = name if name in specs else "default"
                yield (key, at), specs[at], name, shape, None
    yield from _targets(case)


def _targets(case: Fields) -> Iterator[Spec]:
    structure = case.structure
    for key, spec in (("targets", case.targets), ("upstream", case.upstream)):
        if spec is None:
            continue
        if case.loss.kind == "softmax_cross_entropy":
            yield (key,), spec, key, structure.outputs[:2], structure.outputs[2]
        else:
            yield (key,), spec, key, structure.outputs, None


def memory_needed(case: Fields) -> int:
    """Estimate the peak memory of a case in bytes: the parent's copies and those of one implementation."""
    s = case.sizes
    G = GATES[case.cell]
    D = 2 if case.bidirectional else 1
    inputs_to_layers = [s.input] + [D * s.hidden] * (min(case.layers, 2) - 1)
    per_layer = [D * (width + s.hidden + 1) * G * s.hidden for width in inputs_to_layers]
    parameters = per_layer[0] + per_layer[-1] * (case.layers - 1) + (D * s.hidden + 1) * (s.output or 0)
    rows = s.batch * s.time * (s.input + case.layers * D * s.hidden * G + (s.output or 0))
    return (4 if case.dtype == "float32" else 8) * (6 * parameters + 8 * rows)


def _memory(case: Fields) -> Iterator[Problem]:
    found = list(too_much(memory_needed(case), case.sizes.time))
    yield from found
    if not found and case.layers > 10_000:  # each layer is Python objects in every framework, however small its arrays
        yield ("layers",), f"{case.layers:,} layers; at most 10,000 can be built", ""


def too_much(memory: int, time: int) -> Iterator[Problem]:
    """Find out whether the sizes of a case are more than this machine can run.

    Args:
        memory: how many bytes the case needs.
        time: how many steps it has.
    """
    there = _memory_there()
    if memory > there:
        yield (
            ("sizes",),
            f"needs {_gigabytes(memory)} of memory, but this machine has {_gigabytes(there).removeprefix('about ')}",
            "",
        )
    elif time > 1_000_000:  # each step is a turn of a loop, and a number in lists of steps
        yield ("sizes", "time"), f"{time:,} steps; at most 1,000,000 can be run", ""


@cache
def _memory_there() -> int:
    import psutil  # which few commands need

    return int(psutil.virtual_memory().total)


def _gigabytes(size: int) -> str:
    return f"about {size / 2**30:,.1f} GiB" if size < 2**60 else "an absurd amount"


_CHECKS: tuple[Callable[[Fields], Iterator[Problem]], ...] = (
    _cell,
    _readout,
    _lengths,
    _directions,
    _steps,
    _upstream,
    expectation,
    tolerance,
    _names,
    training.problems,
    published.problems,
)
