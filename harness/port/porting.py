"""A port: read, convert, write beside the target, prove, and only then move into place."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from harness.checkpoint import CheckpointRefused, Stated, find
from harness.execution.processes import WorkerFailed
from harness.execution.session import Run, execute
from harness.execution.session.executors.local import Local
from harness.execution.session.outcomes import CaseOutcome
from harness.layout import layouts
from harness.port.plan import Plan
from harness.port.proof import Porters, compared, files_of, process_of
from harness.port.sides import File
from harness.problem.checkpoint import of_checkpoint


class ProofFailed(Exception):
    """A port was not made: its framework could not write it, or its proof failed.

    Attributes:
        detail: a traceback; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


@dataclass(frozen=True, eq=False)
class Ported:
    """The result of a port.

    Attributes:
        run: the proof.
        files: the written files; empty if the proof failed.
    """

    run: Run
    files: tuple[Path, ...]


def port(plan: Plan, workers: Porters, keep: Callable[[CaseOutcome], str]) -> Ported:
    """Convert weights, write them, and prove that they compute the same.

    Args:
        plan: the port.
        workers: the processes of its sides.
        keep: keeps the numbers of the proof.

    Raises:
        CheckpointRefused: if the source cannot be read.
        ProofFailed: if there is nothing to prove; nothing is left.
    """
    workers.start([process_of(plan.ported), process_of(plan.original)])
    canonical = of_checkpoint(plan.layers, plan.case.structure, plan.case.dtype)
    with tempfile.TemporaryDirectory(prefix=".port-", dir=plan.target.parent) as folder:
        beside = Path(folder) / plan.target.name
        _write(plan, _converted(plan, canonical), beside, workers)
        try:
            file = plan.ported.written(beside)[-1]
            written = find(file, plan.ported.layer_in(file, plan.case.structure), Stated(layout=plan.ported.layout))
            found = of_checkpoint(written, plan.case.structure, plan.case.dtype)
        except CheckpointRefused as refused:
            raise ProofFailed(f"the file that {plan.ported.to} wrote {refused}") from None
        _check_bits(canonical, found, plan.ported.layout)
        run = _proven(plan, workers, files_of(plan, beside, written), keep)
        if run.surprises or run.failed_implementations or not run.tensors_compared:
            return Ported(run, ())
        return Ported(run, tuple(_in_place(plan.ported.written(beside), plan.target.parent)))


def _in_place(files: Iterable[Path], folder: Path) -> list[Path]:
    """Move files into a folder, or none of them if a file of the same name came while the proof ran.

    Raises:
        ProofFailed: if such a file exists now; it is left unchanged, and nothing is written.
    """
    moved: list[Path] = []
    for file in files:
        target = folder / file.name
        try:
            with target.open("xb"):
                moved.append(target)
        except FileExistsError:
            for each in moved:
                each.unlink()
            raise ProofFailed(f"{target} came while the proof ran, and is left unchanged") from None
        file.replace(target)
    return moved


def _converted(plan: Plan, canonical: dict[str, ndarray]) -> dict[str, ndarray]:
    """Return the weights in the layout of the target; unchanged if it is the layout of the source."""
    usual = plan.layers.cell.forget_bias in (None, plan.layers.naming.forget_bias)
    if plan.original.layout == plan.ported.layout and usual:
        return plan.layers.tensors()
    layout = layouts()[plan.ported.layout]
    return plan.ported.settled(layout.from_canonical(canonical, plan.case.structure))


def _write(plan: Plan, weights: dict[str, ndarray], beside: Path, workers: Porters) -> None:
    header = {
        "do": "write",
        "path": str(beside.absolute()),
        "structure": asdict(plan.case.structure),
        "activation": plan.case.activation,
    }
    try:
        answer = workers.ask(process_of(plan.ported), header, weights)
    except WorkerFailed as failure:
        raise ProofFailed(failure.reason, failure.detail) from None
    if answer.header["status"] != "ok":
        raise ProofFailed(f"{plan.ported.to} did not write it: {answer.header['reason']}", answer.header["detail"])


def _check_bits(expected: dict[str, ndarray], found: dict[str, ndarray], layout: str) -> None:
    """Check that every weight came through, including those that the case does not use.

    Raises:
        ProofFailed: if one did not.
    """
    for name, array in expected.items():
        # TensorFlow 1 stores an lstm's forget bias less 1, which may lose half a unit in the last place of 1.
        allowed = np.finfo(array.dtype).eps * np.maximum(1, np.abs(array)) if layout == "tf1" else 0
        if not (np.abs(found[name] - array) <= allowed).all():
            raise ProofFailed(f"{name} has other numbers in the written file")


def _proven(plan: Plan, workers: Porters, files: Mapping[str, File], keep: Callable[[CaseOutcome], str]) -> Run:
    baseline, others = compared(plan)
    with workers.about(files):
        *_, run = execute([plan.case], others, baseline, Local(workers), keep=keep)
    return run
