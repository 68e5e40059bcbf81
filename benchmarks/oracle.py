"""``complex-step`` and ``torch.autograd.gradcheck`` in slow mode: time, and error against ``certified``.

``python -m benchmarks.oracle`` prints a Markdown table. Both differentiate the same network by every weight, initial
state and input, in float64. They run in one process with one thread, one after the other. gradcheck takes central
differences of each number and compares them with autograd; the table has the error of its differences. Errors are the
worst over all tensors, relative to each tensor's largest element.
"""

# ruff: noqa: E402 - the number of threads must be set before NumPy and torch are imported

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np
from numpy import ndarray

from harness.case import Loss, Sizes, ValidCase
from harness.implementations import implementations
from harness.precision.intervals.certification import certified
from harness.precision.intervals.tensors import distance
from harness.problem import Problem, build
from harness.result import run

SIZES = (
    # B, T, I, H
    (4, 20, 16, 5),
    (4, 20, 49, 16),
    (4, 20, 57, 32),
)
SLOW = 1.0
"""Seconds of a call above which it is timed once instead of five times."""


def problem_of(B: int, T: int, I: int, H: int) -> Problem:
    """Return a tanh network with a squared error at every step."""
    numbers = {"normal": 1.0, "seed": 1}
    case = ValidCase(
        name="benchmark",
        file="benchmark",
        sizes=Sizes(B, T, I, H),
        weights={"normal": float(0.9 / np.sqrt(H)), "seed": 1},
        inputs=numbers,
        initial_state=numbers,
        targets=numbers,
        loss=Loss("squared_error"),
    )
    return build(case, lambda *_: {})


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call, the median of five unless it is slow, and its result."""
    taken: list[float] = []
    while not taken or (len(taken) < 5 and taken[0] < SLOW):
        start = time.perf_counter()
        returned = function()
        taken.append(time.perf_counter() - start)
    return median(taken), returned


def error(gradients: Mapping[str, ndarray], balls: Mapping[str, ndarray]) -> float:
    """Return the worst error over all tensors, relative to each tensor's largest element."""
    return max(
        float(distance(tensor, balls[name]).max()) / max(abs(float(ball)) for ball in balls[name].reshape(-1))
        for name, tensor in gradients.items()
    )


def loss_in_torch(problem: Problem, names: list[str]) -> tuple[Callable[..., Any], list[Any]]:
    """Return the network's loss as a function of leaves in the order of ``names``, and the leaves."""
    import torch

    given = {**problem.weights, **problem.initial_state, "inputs": problem.inputs}
    targets = torch.tensor(problem.targets)

    def loss(*leaves: Any) -> Any:
        by_name = dict(zip(names, leaves, strict=True))
        W_xh, W_hh, b_h, h = (by_name[f"layer0.{name}"] for name in ("W_xh", "W_hh", "b_h", "h0"))
        total = torch.zeros((), dtype=torch.float64)
        for t in range(targets.shape[1]):
            h = torch.tanh(by_name["inputs"][:, t] @ W_xh + h @ W_hh + b_h)  # (B, H)
            total = total + ((h - targets[:, t]) ** 2).sum()
        return total

    return loss, [torch.tensor(given[name], requires_grad=True) for name in names]


def row(B: int, T: int, I: int, H: int) -> str:
    """Measure one size; return its row of the table."""
    from torch.autograd import gradcheck
    from torch.autograd.gradcheck import _get_numerical_jacobian

    problem = problem_of(B, T, I, H)
    names = list(problem.structure.gradients)
    balls = certified(problem)
    oracle = implementations()["complex-step"]
    of_oracle, result = seconds(lambda: run(oracle, problem))
    loss, leaves = loss_in_torch(problem, names)
    of_gradcheck, passed = seconds(lambda: gradcheck(loss, leaves, eps=1e-6, fast_mode=False))
    assert passed
    columns = _get_numerical_jacobian(loss, tuple(leaves), eps=1e-6)
    differences = {
        name: jacobian[0].numpy().reshape(problem.structure.gradients[name])
        for name, jacobian in zip(names, columns, strict=True)
    }
    parameters = sum(array.size for array in problem.weights.values())
    numbers = sum(array.size for array in result.gradients.values())
    cells = (
        f"{parameters:,}",
        f"{numbers:,}",
        f"{B}, {T}, {I}, {H}",
        f"{of_oracle:.3f} s",
        f"{error(result.gradients, balls):.1e}",
        f"{of_gradcheck:.2f} s",
        f"{error(differences, balls):.1e}",
        f"{of_gradcheck / of_oracle:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table, a row as soon as it is measured."""
    import torch

    torch.set_num_threads(1)
    head = ("weights", "numbers in all", "B, T, I, H", "complex-step", "error", "gradcheck", "error", "times as long")
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}", flush=True)
    for sizes in SIZES:
        print(row(*sizes), flush=True)


if __name__ == "__main__":
    main()
