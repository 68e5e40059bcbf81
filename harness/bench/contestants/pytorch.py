"""The two passes of torch's own module, which the contestants on torch share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.bench.contestants.base import Pass, Tensors
from harness.implementations.pytorch import leaf, module_of
from harness.problem import Problem
from harness.tensors import STATES


def passes_of(problem: Problem, threads: int, compiled: Callable[[Any], Any] = lambda forward: forward) -> Pass:
    """Return the two passes of nn.RNN, nn.LSTM or nn.GRU over a problem in torch's layout.

    Args:
        problem: A problem of one layer.
        threads: The number of torch's threads, which holds for the whole process.
        compiled: A function that compiles the forward pass, such as ``torch.compile``.
    """
    import torch

    torch.set_num_threads(threads)
    case = problem.case
    module = module_of(problem.structure, case.dtype)
    module.load_state_dict({name: torch.tensor(array) for name, array in problem.weights.items()})
    given = {name: leaf(array) for name, array in problem.initial_state.items()} | {"inputs": leaf(problem.inputs)}
    leaves = {**dict(module.named_parameters()), **given}
    names = [f"layer0.{state}" for state in STATES[case.cell]]
    upstream = torch.tensor(problem.upstream)  # (B, T, H)

    def forward(inputs: Any, *states: Any) -> Any:
        before = [state[None] for state in states]  # (1, B, H) each
        return module(inputs, before[0] if len(before) == 1 else tuple(before))[0]  # (B, T, H)

    forward = compiled(forward)

    def both() -> Tensors:
        outputs = forward(given["inputs"], *(given[name] for name in names))  # (B, T, H)
        found = torch.autograd.grad(outputs, list(leaves.values()), upstream)
        return {"outputs": outputs, **dict(zip(leaves, found, strict=True))}

    return both
