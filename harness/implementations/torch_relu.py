"""relu in other spellings of torch, with the same values and other slopes at exactly zero.

torch.relu and nn.RNN take the slope 0 if a pre-activation is exactly zero. torch.clamp takes 1, since its bound belongs
to the range. torch.maximum gives half of the gradient to each of two equal arguments. All are right, since any slope
from 0 to 1 is a subgradient, and all differ. They take part in cases that list them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.implementations.base import Returned, implementation, refuse_directions_and_lengths
from harness.implementations.pytorch import TORCH, leaf, loss_of
from harness.problem import Problem

if TYPE_CHECKING:
    from torch import Tensor

SUPPORTS = {"cell": ("rnn",), "activation": ("relu",), "truncation": ("none",)}


@implementation("torch-clamp", framework=TORCH, supports=SUPPORTS, complete=True, only_named=True)
def torch_clamp(problem: Problem) -> Returned:
    """Relu as torch.clamp(a, min=0), whose slope at exactly zero is 1."""
    return unrolled(problem, lambda a: a.clamp(min=0))


@implementation("torch-maximum", framework=TORCH, supports=SUPPORTS, complete=True, only_named=True)
def torch_maximum(problem: Problem) -> Returned:
    """Relu as torch.maximum(a, 0), whose slope at exactly zero is ½."""
    import torch

    return unrolled(problem, lambda a: torch.maximum(a, torch.zeros_like(a)))


def unrolled(problem: Problem, phi: Callable[[Tensor], Tensor]) -> dict[str, object]:
    """Return loss, outputs and gradients of a vanilla network with the activation φ, unrolled under autograd."""
    import torch

    refuse_directions_and_lengths(problem)
    given = {**problem.weights, **problem.initial_state, "inputs": problem.inputs}
    leaves = {name: leaf(array) for name, array in given.items()}
    below = leaves["inputs"]  # (B, T, I)
    for block in problem.structure.blocks:
        W_xh, W_hh, b_h, h = (leaves[f"{block}.{name}"] for name in ("W_xh", "W_hh", "b_h", "h0"))
        states = []
        for x in below.unbind(1):  # (B, I)
            h = phi(x @ W_xh + h @ W_hh + b_h)  # (B, H)
            states.append(h)
        below = torch.stack(states, 1)  # (B, T, H)
    outputs = below
    if problem.case.readout == "linear":
        outputs = below @ leaves["readout.W_hy"] + leaves["readout.b_y"]  # (B, T, O)
    loss = loss_of(problem, outputs)
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    found = {name: gradient.numpy() for name, gradient in zip(leaves, gradients, strict=True)}
    return {"loss": loss.detach().numpy(), "outputs": outputs.detach().numpy(), **found}
