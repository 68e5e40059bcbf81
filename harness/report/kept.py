"""The tensors of a run, kept beside its tables: a file for each case, in the safetensors format, which runs no code.

A file holds the problem and what every implementation returned, so that a case can be judged anew without running
anything: with other tolerances, or against another baseline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from harness.comparison import SEVERITY
from harness.execution.processes import messages
from harness.execution.processes.transport import Message
from harness.execution.session import CaseOutcome, Judgement
from harness.execution.session.floors import Floors
from harness.execution.session.outcomes import steps_of
from harness.implementations import Promise
from harness.problem import Problem
from harness.report.scratch import scratch
from harness.result import Result
from harness.result.remark import Remark

FOLDER = "tensors"
NAMES = rf"{FOLDER}/\d+\.safetensors"
"""Matches the path of each file below the report."""

STATUSES = ("ok", "unsupported", "error")
FORMAT = 1
Which = Literal["all", "failed", "none"]
MAX_MESSAGE = 300
"""Maximum length of an error message; it may quote the file."""

PLAIN = (
    "float64",
    "float32",
    "float16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "bool",
)
"""Dtypes that both safetensors and NumPy have; an array of another dtype is kept as its bytes."""


class Damaged(ValueError):
    """A file of kept tensors that cannot be read; its text says why."""


@dataclass(frozen=True, eq=False)
class Kept:
    """A case as it was kept.

    Attributes:
        problem: in the split layout; the case is its own.
        baseline: the name of the baseline.
        noise: how far rounding alone moves each tensor, absolute.
        floors: how far the baseline is off.
        oracle: the name of the oracle; empty if none took part.
        judged: how each implementation came out, without comparisons and diagnoses.
        results: what each implementation returned, if it returned something.
    """

    problem: Problem
    baseline: str
    noise: Mapping[str, float]
    floors: Floors
    oracle: str
    judged: tuple[Judgement, ...]
    results: Mapping[str, Result]


class Keeper:
    """Keeps the tensors of a run, case by case, in a folder that is removed on exit.

    Args:
        beside: the folder of the report that will take them over.
        which: the cases that keep their tensors: ``all``, ``failed`` for those not as expected, or ``none``.
        waiting: maximum number of cases whose tensors wait for ``write``.
    """

    def __init__(self, beside: Path, which: Which = "all", waiting: int = 0) -> None:
        self.which = which
        self._most = waiting
        self._waiting: list[tuple[CaseOutcome, str]] = []
        self._scratch = scratch(beside)
        self._count = 0

    def __enter__(self) -> Keeper:
        self.folder = self._scratch.__enter__()
        (self.folder / FOLDER).mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.__exit__(None, None, None)

    def keep(self, outcome: CaseOutcome) -> str:
        """Keep the tensors of a case; return the name of the file below the report, empty if they are not kept."""
        if self.which == "none" or outcome.numbers is None or (self.which == "failed" and outcome.as_expected):
            return ""
        name = f"{FOLDER}/{self._count:05}.safetensors"
        self._waiting.append((outcome, name))
        self._count += 1
        if len(self._waiting) > self._most:
            self.write()
        return name

    def write(self) -> None:
        """Write the tensors that wait."""
        for outcome, name in self._waiting:
            keep(outcome, self.folder / name)
        self._waiting.clear()


def keep(outcome: CaseOutcome, path: Path) -> None:
    """Write the numbers of an outcome to a file.

    Raises:
        ValueError: if the outcome has none.
    """
    from safetensors.numpy import save

    numbers = outcome.numbers
    if numbers is None:
        raise ValueError(f"{outcome.case.name} has no numbers to keep")
    header, arrays = messages.of_problem(numbers.problem)
    stored = {f"problem/{name}": array for name, array in arrays.items()}
    headers = {}
    for number, (name, result) in enumerate(numbers.results.items()):
        headers[name], arrays = messages.of_result(result)
        stored |= {f"{number}/{key}": array for key, array in arrays.items()}
    content = {
        "problem": header,
        "results": headers,
        "baseline": outcome.baseline,
        "noise": dict(numbers.noise),
        "floors": asdict(outcome.floors),
        "oracle": numbers.oracle,
        "judged": [_judged(each) for each in outcome.judged],
        "order": list(stored),  # which the format does not keep
        "bytes": {key: [array.dtype.str, array.shape] for key, array in stored.items() if not _is_plain(array)},
    }
    plain = {key: array if _is_plain(array) else _bytes(array) for key, array in stored.items()}
    path.write_bytes(save(plain, {"harness": str(FORMAT), "content": json.dumps(content)}))


def _is_plain(array: ndarray) -> bool:
    return array.dtype.isnative and array.dtype.name in PLAIN and array.flags.c_contiguous


def _bytes(array: ndarray) -> ndarray:
    return np.frombuffer(array.tobytes(), np.uint8)


def _judged(judged: Judgement) -> dict[str, Any]:
    kept = ("implementation", "status", "verdict", "reason", "detail", "loss", "seconds", "oracle", "said")
    plain = {name: getattr(judged, name) for name in kept}
    return {**plain, **asdict(judged.promise), "remarks": [[r.kind, r.text] for r in judged.remarks]}


def read(path: Path) -> Kept:
    """Read a file that ``keep`` wrote.

    Raises:
        Damaged: if it is no such file, or is not whole.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("harness") != str(FORMAT):
                raise Damaged(f"{path.name} holds no tensors that this harness kept")
            content = json.loads(metadata["content"])
            arrays = {key: file.get_tensor(key) for key in content["order"]}
        kept = _kept(content, arrays)
        _check(kept, path.name)
        return kept
    except Damaged:
        raise
    except (SafetensorError, *_WRONG_CONTENT) as error:
        raise Damaged(f"{path.name} cannot be read: {type(error).__name__}: {str(error)[:MAX_MESSAGE]}") from None


_PROMISED = tuple(each.name for each in fields(Promise))

_WRONG_CONTENT = (
    OSError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Exceptions for a file that contradicts itself, or that ``keep`` did not write."""


def _check(kept: Kept, file: str) -> None:
    """Make sure that what was kept fits together.

    Raises:
        Damaged: if it does not.
        ValueError: if the case is no valid one.
    """
    from harness.case.validation import refuse_invalid

    problem, case = kept.problem, kept.problem.case
    refuse_invalid(case)
    structure, targets = problem.structure, problem.structure.outputs
    if case.loss.kind == "softmax_cross_entropy":
        targets = targets[:2]
    tensors = {**problem.arrays, "targets": problem.targets}
    for name, shape in {**structure.gradients, "targets": targets}.items():
        labels = name == "targets" and case.loss.kind == "softmax_cross_entropy"
        dtype = "int64" if labels else case.dtype
        if name not in tensors or tensors[name].shape != shape or tensors[name].dtype != dtype:
            there = f"{tensors[name].dtype} {tensors[name].shape}" if name in tensors else "not there"
            raise Damaged(f"{file} cannot be read: {name} should be {dtype} {shape}, but is {there}")
    names = [each.implementation for each in kept.judged]
    if names != list(dict.fromkeys(names)):
        raise Damaged(f"{file} cannot be read: its implementations are {names}, one of them twice")
    texts = [kept.baseline, *kept.results, case.name, case.file, kept.oracle, kept.floors.source, kept.floors.reason]
    for each in kept.judged:
        texts += [each.implementation, each.reason, each.detail, each.oracle, each.said]
        texts += [text for remark in each.remarks for text in (remark.kind, remark.text)]
        if each.status not in STATUSES or each.verdict not in (None, *SEVERITY):
            raise Damaged(f"{file} cannot be read: {each.implementation} is {each.status!r} and {each.verdict!r}")
        promised = [isinstance(number, bool) for number in (each.promise.complete, each.promise.all_gradients)]
        promised += [isinstance(number, int | float) for number in (each.promise.float32_eps, each.promise.eps)]
        if not all(promised):
            raise Damaged(f"{file} cannot be read: {each.implementation} is said to promise {each.promise}")
        if not all(number is None or isinstance(number, int | float) for number in (each.loss, each.seconds)):
            raise Damaged(f"{file} cannot be read: loss or seconds of {each.implementation} is no number")
    for each_result in kept.results.values():
        texts += [each_result.untrained, *each_result.misfits, *each_result.misfits.values()]
    for by_name in (kept.floors.ill_conditioned, kept.floors.unexplained):
        texts += [*by_name, *by_name.values()]
    if not all(isinstance(text, str) for text in texts):
        raise Damaged(f"{file} cannot be read: {next(t for t in texts if not isinstance(t, str))!r} should be a text")
    for number in (*kept.noise.values(), *kept.floors.largest.values()):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise Damaged(f"{file} cannot be read: {number!r} should be a number")


def _kept(content: Mapping[str, Any], arrays: dict[str, ndarray]) -> Kept:
    for key, (dtype, shape) in content["bytes"].items():
        arrays[key] = np.frombuffer(arrays[key].tobytes(), dtype).reshape(shape)
    results = {}
    for number, (name, header) in enumerate(content["results"].items()):
        result, _ = messages.to_results(Message(header, _below(f"{number}/", arrays)))
        if result is None:
            raise ValueError(f"the result of {name} has no seconds")
        results[name] = result
    judged = [
        Judgement(
            **{name: value for name, value in each.items() if name not in _PROMISED}
            | {"remarks": tuple(Remark(*remark) for remark in each["remarks"])},
            promise=Promise(**{name: each[name] for name in _PROMISED if name in each}),
            steps=steps_of(results.get(each["implementation"])),
        )
        for each in content["judged"]
    ]
    problem = messages.to_problem(Message(content["problem"], _below("problem/", arrays)))
    floors = Floors(**content["floors"])
    return Kept(problem, content["baseline"], content["noise"], floors, content["oracle"], tuple(judged), results)


def _below(prefix: str, arrays: Mapping[str, ndarray]) -> dict[str, ndarray]:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
