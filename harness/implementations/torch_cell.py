"""``torch-cell``: the recurrence unrolled by hand in torch operations under autograd, with any activation."""

from __future__ import annotations

from harness.implementations.base import Returned, implementation
from harness.implementations.pytorch import TORCH, leaf, loss_of
from harness.problem import Problem


@implementation(
    "torch-cell", layout="split", framework=TORCH, supports={"cell": ("rnn",), "truncation": ("none",)}, complete=True
)
def torch_cell(problem: Problem) -> Returned:
    """The recurrence unrolled in torch operations under autograd."""
    import torch

    activation = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda a: a}[
        problem.case.activation
    ]
    weights = {name: leaf(array) for name, array in problem.weights.items()}
    initial_state = {name: leaf(array) for name, array in problem.initial_state.items()}
    inputs = leaf(problem.inputs)  # (B, T, I)

    steps = list(inputs.unbind(1))  # T of (B, I)
    for block in problem.structure.blocks:
        W_xh, W_hh, b_h = (weights[f"{block}.{name}"] for name in ("W_xh", "W_hh", "b_h"))
        state = initial_state[f"{block}.h0"]  # (B, H)
        for t, x in enumerate(steps):
            state = activation(x @ W_xh + state @ W_hh + b_h)  # (B, H)
            steps[t] = state
    outputs = torch.stack(steps, 1)  # (B, T, H)
    if "readout.W_hy" in weights:
        outputs = outputs @ weights["readout.W_hy"] + weights["readout.b_y"]  # (B, T, O)

    loss = loss_of(problem, outputs)
    leaves = {**weights, **initial_state, "inputs": inputs}
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {
        "loss": loss.detach().numpy(),
        "outputs": outputs.detach().numpy(),
        **{name: gradient.numpy() for name, gradient in zip(leaves, gradients, strict=True)},
    }
