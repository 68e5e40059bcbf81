"""Checks of torch functions that run a recurrence: an ``autograd.Function``, a module, a compiled function, a kernel.

    def my_lstm(weights, inputs, state):         # dictionaries of tensors, by the names of the recurrence
        outputs, h, c = MyLSTM.apply(inputs["x"], *weights.values(), state["h"], state["c"])
        return outputs, {"h": h, "c": c}         # (B, T, …), and the last states, (B, …) each

    harness.torch.check(my_lstm, recurrence="lstm", rounds="bfloat16")

The function's own backward pass is checked: torch's autograd calls it with random upstream gradients of the outputs and
of the last states. It runs in the caller's process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy import ndarray

try:
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":  # torch is there, and something that it needs is not
        raise
    needs = "harness.torch needs torch, which is not installed; pip install 'bptt-harness[torch]'"
    raise ModuleNotFoundError(needs, name="torch") from None

from harness import low_precision
from harness.api import assert_gradients_match
from harness.casefile import listed, nearest
from harness.implementations import implementation
from harness.low_precision import LowPrecision, assert_right
from harness.precision.formats import TRUNCATED, Rounds
from harness.problem import Problem
from harness.problem.configurations import configurations as cases_of
from harness.problem.recurrent import RecurrenceProblem, build_recurrence
from harness.recurrences import Recurrence, recurrences

TorchFunction = Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]], Any]
"""A function from weights, inputs and initial states to outputs, or to outputs and last states."""

STORED = {
    name: getattr(torch, name)
    for name in ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
    if hasattr(torch, name)
}
"""Torch's dtypes of low precision; products in tf32 have float32 operands."""

WIDE = ("float64", "float32")
"""The dtypes of configurations."""


@dataclass(frozen=True)
class Configuration:
    """Sizes, dtype and upstream gradients of one problem. Its text is an id for a test.

    Attributes:
        problem: the problem.
        id: the text.
    """

    problem: RecurrenceProblem
    id: str

    def __str__(self) -> str:
        return self.id


def configurations(recurrence: str | Recurrence, dtypes: Sequence[str] = WIDE) -> list[Configuration]:
    """Return the configurations that have hidden wrong gradients in the past, for ``pytest.mark.parametrize``.

    Args:
        recurrence: the recurrence, or its name.
        dtypes: the dtypes of the configurations to return.

    Raises:
        ValueError: if there is no such recurrence or dtype.
    """
    found = _recurrence(recurrence)
    _check_dtypes(dtypes)
    problems = [cast(RecurrenceProblem, build_recurrence(case, found)) for case in cases_of(found)]
    return [
        Configuration(each, each.case.name.removeprefix(found.name).strip("[]"))
        for each in problems
        if each.case.dtype in dtypes
    ]


def check(
    function: TorchFunction,
    *,
    recurrence: str | Recurrence,
    rounds: str | Mapping[str, str] | None = None,
    on: Configuration | None = None,
    device: str = "cpu",
    conventions: Conventions | None = None,
) -> LowPrecision | None:
    """Assert that the gradients of a torch function are right.

    First come float64 and float32, under the rule of every implementation, on problems whose sizes all differ. With
    ``rounds`` the function then runs on two dozen problems with tensors of that format.

    Args:
        function: a function from dictionaries of weights, inputs and initial states to the outputs (B, T, …) and the
            last states: a dictionary, or tensors (B, …) in the order of the recurrence's states. The outputs alone
            suffice where no last state has an upstream gradient.
        recurrence: the recurrence, or its name.
        rounds: the format that it rounds to, such as ``bfloat16``, or formats by operation; None for no low precision.
        on: one of ``configurations``, for a test of it alone; None for all.
        device: the device of the tensors.
        conventions: what is unusual about the function.

    Returns:
        The report on low precision; None without ``rounds``.

    Raises:
        AssertionError: if a gradient is wrong, with the tensors and the diagnosis.
        ValueError: if there is no such recurrence, format, operation, dtype or device, a returned shape is wrong, or
            neither ``rounds`` nor the conventions' dtypes leave anything to check.
        TypeError: if an argument has a wrong type, or the function returns something else than these tensors.
    """
    __tracebackhide__ = True
    found, own = _recurrence(recurrence), Conventions() if conventions is None else conventions
    for name, given, should_be in (("on", on, Configuration), ("conventions", own, Conventions)):
        if given is not None and not isinstance(given, should_be):
            raise TypeError(f"{name} is {_kind(given)}, but should be a harness.torch.{should_be.__name__}")
    where = None if rounds is None else Rounds.of(rounds)
    if where is None and on is None and not own.dtypes:
        raise ValueError("nothing is checked: the conventions have no dtypes, and rounds is None; give rounds a format")

    @implementation(getattr(function, "__name__", "the function"), recurrence=found)
    def asked(problem: Problem) -> Mapping[str, ndarray]:
        assert isinstance(problem, RecurrenceProblem)
        return answered(function, problem, getattr(torch, problem.case.dtype), device, own)

    wide: AssertionError | None = None
    try:
        for each in [on] if on is not None else configurations(found, own.dtypes):
            assert_gradients_match(asked, each.problem)
    except AssertionError as wrong:
        if where is None:
            raise
        wide = wrong
    if where is None:
        return None
    dtype = STORED.get(where.stored.name.removesuffix(TRUNCATED), torch.float32)

    def coarse(problem: RecurrenceProblem) -> Mapping[str, ndarray]:
        return answered(function, problem, dtype, device, own)

    report = assert_right(coarse, found, where, own.sizes, wide)
    if wide is not None and not own.rounds_always:
        raise AssertionError(
            f"{report}\n\nThe gradients are right to within rounding, but not in wider numbers; if the function rounds "
            f"whatever dtype it receives, pass conventions=harness.torch.Conventions(rounds_always=True):\n{wide}"
        )
    return report


def check_at_full_size(
    function: TorchFunction,
    *,
    recurrence: str | Recurrence,
    sizes: Mapping[str, int],
    rounds: str | Mapping[str, str] = "float32",
    device: str = "cpu",
    conventions: Conventions | None = None,
) -> LowPrecision:
    """Assert that the gradients of a torch function are right on one large problem, such as a size of a tuning table.

    The derived pass runs in segments of √T steps, in float64, and is checked by a derivative along a random direction.
    The largest and the RMS error of each tensor are judged.

    Args:
        function: as for ``check``.
        recurrence: the recurrence, or its name.
        sizes: of letters, B and T.
        rounds: the format that it rounds to, or formats by operation.
        device: the device of the tensors.
        conventions: what is unusual about the function; its sizes do not count.

    Raises:
        AssertionError: if a gradient is wrong.
        ValueError: if there is no such recurrence, format, operation or device.
    """
    __tracebackhide__ = True
    dtype = STORED.get(Rounds.of(rounds).stored.name.removesuffix(TRUNCATED), torch.float32)

    def answer(problem: RecurrenceProblem) -> Mapping[str, ndarray]:
        return answered(function, problem, dtype, device, conventions or Conventions())

    report = low_precision.check_at_full_size(answer, _recurrence(recurrence), rounds, sizes)
    if not report.matches:
        raise AssertionError(str(report))
    return report


@dataclass(frozen=True)
class Conventions:
    """Properties of a function that most functions do not have.

    Attributes:
        time_first: True if inputs and outputs are (T, B, …).
        dtypes: the wide dtypes that it accepts; empty for a kernel of low precision alone.
        rounds_always: True if it rounds to low precision whatever dtype it receives.
        strided: True to pass inputs and upstream gradients that are not contiguous.
        sizes: sizes of letters, B and T in low precision, such as those of a kernel's tuning table; None for the usual.
    """

    time_first: bool = False
    dtypes: tuple[str, ...] = WIDE
    rounds_always: bool = False
    strided: bool = False
    sizes: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        _check_dtypes(self.dtypes)


def answered(
    function: TorchFunction, problem: RecurrenceProblem, dtype: torch.dtype, device: str, conventions: Conventions
) -> dict[str, ndarray]:
    """Return outputs, last states and gradients of a torch function, in float64 where the dtype is not NumPy's.

    Raises:
        TypeError: if the function returns no tensors of outputs, and of the last states that the loss depends on.
        ValueError: if one of them has a wrong shape.
    """
    sequences = problem.sequences
    over_time = [f"inputs.{name}" for name in sequences.recurrence.inputs]
    leaves: dict[str, torch.Tensor] = {}

    def leaf(name: str, array: ndarray) -> torch.Tensor:
        tensor = _placed(array, dtype, device, conventions, is_sequence=name in over_time)
        leaves[name] = tensor.requires_grad_()
        return leaves[name]

    moved = sequences.mapped(leaf)
    outputs, last = _returned(function(dict(moved.weights), dict(moved.inputs), dict(moved.initial_state)), problem)
    _check_last_states(last, problem)
    upstream = {"outputs": (outputs, _placed(sequences.upstream, outputs.dtype, device, conventions, is_sequence=True))}
    for name, state in last.items():
        upstream[f"last.{name}"] = state, _placed(sequences.upstream_state[name], state.dtype, device, conventions)
    for name, (each, g) in upstream.items():
        _check_shape(name, tuple(each.shape), tuple(g.shape), conventions)
    flowing = [(each, g) for each, g in upstream.values() if each.requires_grad]
    found = torch.autograd.grad(
        [each for each, _ in flowing],
        list(leaves.values()),
        [g for _, g in flowing],
        allow_unused=True,
        materialize_grads=True,
    )
    given = {name: each for name, (each, _) in upstream.items()} | dict(zip(leaves, found, strict=True))
    turned = ["outputs", *over_time] if conventions.time_first else []
    return {name: _array(each.transpose(0, 1) if name in turned else each) for name, each in given.items()}


def _placed(
    array: ndarray, dtype: torch.dtype, device: str, conventions: Conventions, *, is_sequence: bool = False
) -> torch.Tensor:
    """Return a tensor of an array; (T, B, …) or not contiguous if the conventions have it so."""
    tensor = torch.tensor(np.ascontiguousarray(array)).to(device=device, dtype=dtype)
    if is_sequence and conventions.time_first:
        tensor = tensor.transpose(0, 1).contiguous()
    if conventions.strided and tensor.ndim:
        wider = torch.stack([tensor, torch.full_like(tensor, float("nan"))], -1)
        tensor = wider[..., 0]  # every other element in memory
    return tensor.detach()


def _array(tensor: torch.Tensor) -> ndarray:
    """Return a copy: a last state may be a view of the outputs."""
    tensor = tensor.detach().cpu()
    return np.array((tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.double()).numpy())


def _returned(returned: Any, problem: RecurrenceProblem) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Read outputs and last states; none if the function returns the outputs alone."""
    states = list(problem.recurrence.state)
    if isinstance(returned, torch.Tensor):
        returned = (returned, {})
    form = f"return the outputs, or the outputs and the last states {listed(states)}"
    if not (isinstance(returned, tuple) and returned):
        raise TypeError(f"the function returned {_kind(returned)}; {form}")
    if not isinstance(returned[0], torch.Tensor):
        raise TypeError(f"the outputs are {_kind(returned[0])}, but should be a tensor; {form}")
    outputs, *rest = returned
    if len(rest) == 1 and isinstance(rest[0], Mapping):
        last = dict(rest[0])
    else:
        flat = list(_flat(rest))
        if len(flat) != len(states):
            raise TypeError(f"the function returned {len(flat)} last states, but should return {len(states)}; {form}")
        last = dict(zip(states, flat, strict=True))
    for name, state in last.items():
        if name not in states:
            raise TypeError(f"the function returned a last state {name!r}; {nearest(str(name), states) or form}")
        if not isinstance(state, torch.Tensor):
            raise TypeError(f"the last state {name!r} is {_kind(state)}, but should be a tensor; {form}")
    return outputs, last


def _check_last_states(last: Mapping[str, torch.Tensor], problem: RecurrenceProblem) -> None:
    """Refuse an answer without a last state that has an upstream gradient: other gradients would lack its part."""
    for name, g in problem.sequences.upstream_state.items():
        if name not in last and np.any(g):
            raise TypeError(
                f"the function returned no last state {name!r}, and the loss depends on it; return the outputs and the "
                f"last states {listed(problem.recurrence.state)}, or check it on each of harness.torch.configurations "
                "that has 'outputs alone' in its id"
            )


def _check_shape(name: str, shape: tuple[int, ...], right: tuple[int, ...], conventions: Conventions) -> None:
    if shape == right:
        return
    text = f"the function returned {name} of shape {shape}, but should return {right}"
    if name == "outputs" and shape[:2] == right[1::-1] and shape[2:] == right[2:]:
        order = "(B, T, …)" if conventions.time_first else "(T, B, …)"
        text += f"; pass conventions=harness.torch.Conventions(time_first={not conventions.time_first}) for {order}"
    raise ValueError(text)


def _check_dtypes(dtypes: Sequence[str]) -> None:
    """Refuse a dtype that no configuration has: the function would pass without a comparison in it."""
    if isinstance(dtypes, str):
        raise ValueError(f"dtypes is {dtypes!r}, but should be a tuple: ({dtypes!r},)")
    for each in dtypes:
        if each not in WIDE:
            wide = " or ".join(WIDE)
            raise ValueError(f"dtypes has {each!r}, but should have {wide}; `rounds` takes formats of low precision")


def _flat(each: Any) -> Iterator[Any]:
    if isinstance(each, tuple | list):
        for inner in each:
            yield from _flat(inner)
    else:
        yield each


def _kind(each: object) -> str:
    return f"a {type(each).__name__}"


def _recurrence(wanted: str | Recurrence) -> Recurrence:
    if isinstance(wanted, Recurrence):
        return wanted
    known = recurrences()
    if wanted not in known:
        raise ValueError(f"there is no recurrence {wanted!r}; {nearest(wanted, known) or f'there are {listed(known)}'}")
    return known[wanted]
