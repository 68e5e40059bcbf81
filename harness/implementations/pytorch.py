"""The base of the implementations on PyTorch: their process, losses and initial weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.implementations.base import Framework
from harness.problem import Problem
from harness.tensors import Structure

if TYPE_CHECKING:
    import torch
    from numpy import ndarray
    from torch import Tensor

TORCH = Framework("torch", ("torch",), install="torch", environment={"CUDA_VISIBLE_DEVICES": ""})


def leaf(array: ndarray, device: str = "cpu") -> Tensor:
    """Return a copy of an array as a tensor that requires a gradient."""
    import torch

    return torch.tensor(array, requires_grad=True, device=device)


def loss_of(problem: Problem, outputs: Tensor) -> Tensor:
    """Return the case's loss of outputs (B, T, O), of shape (), by torch's own loss functions."""
    import torch
    from torch.nn import functional

    covered = torch.tensor(problem.covered, device=outputs.device)  # (B, T) of bool
    rows, targets = (
        outputs[covered],
        torch.tensor(problem.targets, device=outputs.device)[covered],
    )  # (N, O), (N, O) or (N,)
    reduction = problem.case.loss.reduction
    match problem.case.loss.kind:
        case "squared_error":
            return functional.mse_loss(rows, targets, reduction=reduction)
        case "softmax_cross_entropy":
            return functional.cross_entropy(rows, targets, reduction=reduction)
        case "dot":
            products = rows * targets  # (N, O)
            return products.sum() if reduction == "sum" else products.mean()


def zero_past_ends(problem: Problem, outputs: Tensor) -> Tensor:
    """Return outputs (B, T, O) with zeros past each sequence's end; a readout leaves its bias there."""
    import torch

    if problem.lengths is None:
        return outputs
    return outputs.masked_fill(~torch.tensor(problem.valid, device=outputs.device)[:, :, None], 0)


def module_of(structure: Structure, dtype: str, **options: Any) -> torch.nn.RNNBase:
    """Return torch's recurrent module of a structure, nn.RNN, nn.LSTM or nn.GRU, batch first."""
    import torch

    module = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[structure.cell]
    sizes = (structure.input, structure.hidden, structure.layers)
    both = structure.directions == 2
    return module(*sizes, batch_first=True, bidirectional=both, dtype=getattr(torch, dtype), **options)


def initial_weights(structure: Structure, seed: int, dtype: str) -> Mapping[str, Any]:
    """Return the initial weights of nn.RNN, nn.LSTM or nn.GRU, and of nn.Linear, under torch's names."""
    import torch

    torch.manual_seed(seed)
    weights = {name: tensor.numpy() for name, tensor in module_of(structure, dtype).state_dict().items()}
    if structure.output is not None:
        readout = torch.nn.Linear(structure.state_width, structure.output, dtype=getattr(torch, dtype))
        weights |= {f"readout.{name}": tensor.numpy() for name, tensor in readout.state_dict().items()}
    return weights
