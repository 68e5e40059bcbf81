"""``torch-cell``: the recurrence unrolled by hand in torch operations under autograd, with any activation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.implementations.base import Returned, implementation
from harness.implementations.pytorch import TORCH, leaf, loss_of
from harness.implementations.truncated import pieces
from harness.problem import Problem

if TYPE_CHECKING:
    from torch import Tensor


@implementation("torch-cell", layout="split", framework=TORCH, supports={"cell": ("rnn",)}, complete=True)
def torch_cell(problem: Problem) -> Returned:
    """The recurrence unrolled in torch operations under autograd."""
    import torch

    activation = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda a: a}[
        problem.case.activation
    ]
    weights = {name: leaf(array) for name, array in problem.weights.items()}
    initial_state = {name: leaf(array) for name, array in problem.initial_state.items()}
    inputs = leaf(problem.inputs)  # (B, T, I)

    def run(first: int, last: int, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        steps, ended = list(inputs[:, first:last].unbind(1)), []  # last - first of (B, I)
        for block, state in zip(problem.structure.blocks, states, strict=True):
            W_xh, W_hh, b_h = (weights[f"{block}.{name}"] for name in ("W_xh", "W_hh", "b_h"))
            for t, x in enumerate(steps):
                state = activation(x @ W_xh + state @ W_hh + b_h)  # (B, H)
                steps[t] = state
            ended.append(state)
        return torch.stack(steps, 1), ended  # (B, last - first, H)

    def constant(states: list[Tensor]) -> list[Tensor]:
        return [state.detach() for state in states]

    T = problem.structure.time
    outputs = torch.cat(pieces(problem.truncation, T, list(initial_state.values()), run, constant), 1)  # (B, T, H)
    if "readout.W_hy" in weights:
        outputs = outputs @ weights["readout.W_hy"] + weights["readout.b_y"]  # (B, T, O)

    loss = loss_of(problem, outputs)
    leaves = {**weights, **initial_state, "inputs": inputs}
    # What a truncated gradient does not reach is not in the graph, and zero.
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return {
        "loss": loss.detach().numpy(),
        "outputs": outputs.detach().numpy(),
        **{name: gradient.numpy() for name, gradient in zip(leaves, gradients, strict=True)},
    }
