"""The tensors of a run, kept beside its tables: a file for each case, in the safetensors format, which runs no code.

A file holds the problem and what every implementation returned, so that a case can be judged anew without running
anything: with other tolerances, or against another baseline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from harness.problem import Problem
from harness.report.scratch import scratch
from harness.result import Result
from harness.session import CaseOutcome, Judged
from harness.session.floors import Floors
from harness.session.outcomes import steps_of
from harness.trial import Remark
from harness.worker import messages
from harness.worker.transport import Message

FOLDER = "tensors"
FORMAT = 1
Which = Literal["all", "failed", "none"]
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
"""What safetensors and NumPy both have; an array of another dtype is kept as its bytes."""


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
    judged: tuple[Judged, ...]
    results: Mapping[str, Result]


class Keeper:
    """Keeps the tensors of a run, case by case, in a folder that is gone when the keeper is left.

    Args:
        beside: the folder of the report that will take them over.
        which: the cases whose tensors are kept: ``all``, ``failed`` for those not as expected, or ``none``.
    """

    def __init__(self, beside: Path, which: Which = "all") -> None:
        self.which = which
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
        if self.which == "none" or outcome.evidence is None or (self.which == "failed" and outcome.as_expected):
            return ""
        name = f"{FOLDER}/{self._count:05}.safetensors"
        keep(outcome, self.folder / name)
        self._count += 1
        return name


def keep(outcome: CaseOutcome, path: Path) -> None:
    """Write the numbers of an outcome to a file.

    Raises:
        ValueError: if the outcome has none.
    """
    from safetensors.numpy import save

    evidence = outcome.evidence
    if evidence is None:
        raise ValueError(f"{outcome.case.name} has no numbers to keep")
    header, arrays = messages.of_problem(evidence.problem)
    stored = {f"problem/{name}": array for name, array in arrays.items()}
    headers = {}
    for number, (name, result) in enumerate(evidence.results.items()):
        headers[name], arrays = messages.of_result(result)
        stored |= {f"{number}/{key}": array for key, array in arrays.items()}
    content = {
        "problem": header,
        "results": headers,
        "baseline": outcome.baseline,
        "noise": dict(evidence.noise),
        "floors": asdict(outcome.floors),
        "oracle": evidence.oracle,
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


def _judged(judged: Judged) -> dict[str, Any]:
    kept = ("implementation", "status", "verdict", "reason", "detail", "loss", "seconds", "oracle", "said", "complete")
    return {**{name: getattr(judged, name) for name in kept}, "remarks": [[r.kind, r.text] for r in judged.remarks]}


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
        return _kept(content, arrays)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise error if isinstance(error, Damaged) else Damaged(f"{path.name} cannot be read: {error}") from None


def _kept(content: Mapping[str, Any], arrays: dict[str, ndarray]) -> Kept:
    for key, (dtype, shape) in content["bytes"].items():
        arrays[key] = np.frombuffer(arrays[key].tobytes(), dtype).reshape(shape)
    results = {}
    for number, (name, header) in enumerate(content["results"].items()):
        result, _ = messages.to_results(Message(header, _below(f"{number}/", arrays)))
        assert result is not None, "a header without seconds was kept"
        results[name] = result
    judged = [
        Judged(
            **{**each, "remarks": tuple(Remark(*remark) for remark in each["remarks"])},
            steps=steps_of(results.get(each["implementation"])),
        )
        for each in content["judged"]
    ]
    problem = messages.to_problem(Message(content["problem"], _below("problem/", arrays)))
    floors = Floors(**content["floors"])
    return Kept(problem, content["baseline"], content["noise"], floors, content["oracle"], tuple(judged), results)


def _below(prefix: str, arrays: Mapping[str, ndarray]) -> dict[str, ndarray]:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
