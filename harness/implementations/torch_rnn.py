"""``torch``: nn.RNN, nn.LSTM or nn.GRU with its own stacking of layers, and autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.implementations.base import Returned, implementation
from harness.implementations.pytorch import TORCH, initial_weights, leaf, loss_of, module_of
from harness.implementations.truncated import pieces
from harness.problem import Problem
from harness.tensors import STATES

if TYPE_CHECKING:
    from torch import Tensor


@implementation(
    "torch",
    layout="torch",
    framework=TORCH,
    supports={"cell": ("rnn", "lstm", "gru"), "activation": ("tanh", "relu"), "reset": ("after",)},
    complete=True,
    initial_weights=initial_weights,
)
def torch_rnn(problem: Problem) -> Returned:
    """torch.nn.RNN, nn.LSTM, nn.GRU and nn.Linear under autograd."""
    import torch

    case, structure = problem.case, problem.structure
    dtype = getattr(torch, case.dtype)
    module = module_of(structure, case.dtype, **({"nonlinearity": case.activation} if case.cell == "rnn" else {}))
    readout = {name: array for name, array in problem.weights.items() if name.startswith("readout.")}
    module.load_state_dict({n: torch.tensor(array) for n, array in problem.weights.items() if n not in readout})
    inputs = leaf(problem.inputs)  # (B, T, I)
    initial_state = {name: leaf(array) for name, array in problem.initial_state.items()}  # (B, H) each

    def run(first: int, last: int, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        given = states if len(states) > 1 else states[0]  # an lstm takes a pair
        outputs, ended = module(inputs[:, first:last], given)  # (B, last - first, H), (L, B, H) or two of them
        return outputs, ended if len(states) > 1 else (ended,)

    def constant(states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(state.detach() for state in states)

    initial = tuple(
        torch.stack([initial_state[f"{block}.{state}"] for block in structure.blocks])  # (L, B, H)
        for state in STATES[structure.cell]
    )
    graphs = pieces(problem.truncation, structure.time, initial, run, constant)
    outputs = torch.cat(graphs, 1)  # (B, T, H)
    weights = dict(module.named_parameters())
    if readout:
        linear = torch.nn.Linear(structure.hidden, structure.outputs[-1], dtype=dtype)
        linear.load_state_dict({n.removeprefix("readout."): torch.tensor(array) for n, array in readout.items()})
        outputs = linear(outputs)  # (B, T, O)
        weights |= {f"readout.{name}": parameter for name, parameter in linear.named_parameters()}

    loss = loss_of(problem, outputs)
    leaves = {**weights, **initial_state, "inputs": inputs}
    # What a truncated gradient does not reach is not in the graph, and zero.
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    gradients = {name: gradient.numpy() for name, gradient in zip(leaves, found, strict=True)}
    return {"loss": loss.detach().numpy(), "outputs": outputs.detach().numpy(), **gradients}
