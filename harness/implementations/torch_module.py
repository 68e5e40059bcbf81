"""The base of ``torch`` and ``torch@cuda``: nn.RNN, nn.LSTM or nn.GRU under autograd, on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.derive.truncated import pieces
from harness.implementations.base import Returned
from harness.implementations.pytorch import leaf, loss_of, module_of, zero_past_ends
from harness.problem import Problem
from harness.tensors import STATES

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import RNNBase

SUPPORTS = {"cell": ("rnn", "lstm", "gru"), "activation": ("tanh", "relu"), "reset": ("after",)}
"""The cases that torch's modules can represent."""

States = tuple["Tensor", ...]
"""The module's states, (L·D, B, H) each: h, and c in an lstm."""


def answer(problem: Problem, device: str) -> Returned:
    """Return loss, outputs and gradients of a problem in torch's layout, computed on a device and brought back."""
    import torch

    case, structure = problem.case, problem.structure
    dtype = getattr(torch, case.dtype)
    nonlinearity = {"nonlinearity": case.activation} if case.cell == "rnn" else {}
    module = module_of(structure, case.dtype, device=device, **nonlinearity)
    readout = {name: array for name, array in problem.weights.items() if name.startswith("readout.")}
    module.load_state_dict({n: torch.tensor(array) for n, array in problem.weights.items() if n not in readout})
    inputs = leaf(problem.inputs, device)  # (B, T, I)
    initial_state = {name: leaf(array, device) for name, array in problem.initial_state.items()}  # (B, H) each

    def run(first: int, last: int, states: States) -> tuple[Tensor, States]:
        steps = inputs[:, first:last]  # (B, last - first, I)
        if problem.lengths is not None:
            return _packed(module, steps, torch.tensor(problem.lengths) - first, states)
        given = states if len(states) > 1 else states[0]  # an lstm takes a pair
        outputs, ended = module(steps, given)  # (B, last - first, D·H), (L·D, B, H) or two of them
        return outputs, ended if len(states) > 1 else (ended,)

    def constant(states: States) -> States:
        return tuple(state.detach() for state in states)

    initial = tuple(
        torch.stack([initial_state[f"{block}.{state}"] for block in structure.blocks])  # (L·D, B, H)
        for state in STATES[structure.cell]
    )
    graphs = pieces(problem.truncation, structure.time, initial, run, constant)
    outputs = torch.cat(graphs, 1)  # (B, T, D·H)
    weights = dict(module.named_parameters())
    if readout:
        linear = torch.nn.Linear(structure.state_width, structure.outputs[-1], dtype=dtype, device=device)
        linear.load_state_dict({n.removeprefix("readout."): torch.tensor(array) for n, array in readout.items()})
        outputs = zero_past_ends(problem, linear(outputs))  # (B, T, O)
        weights |= {f"readout.{name}": parameter for name, parameter in linear.named_parameters()}

    loss = loss_of(problem, outputs)
    leaves = {**weights, **initial_state, "inputs": inputs}
    # A tensor that a truncated gradient does not reach is not in the graph; its gradient is zero.
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    gradients = {name: gradient.cpu().numpy() for name, gradient in zip(leaves, found, strict=True)}
    return {"loss": loss.detach().cpu().numpy(), "outputs": outputs.detach().cpu().numpy(), **gradients}


def _packed(module: RNNBase, steps: Tensor, lengths: Tensor, states: States) -> tuple[Tensor, States]:
    """Run over steps (B, T, I) of sequences with ``lengths`` (B,) steps; one below 1 has none of these steps.

    A packed batch cannot have a sequence without steps, so sequences that have ended are left out and keep their
    states.

    Returns:
        The outputs, (B, T, D·H), zero past each sequence's end, and the last states of each sequence.
    """
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    B, T, _ = steps.shape
    (running,) = torch.nonzero(lengths > 0, as_tuple=True)  # (those that run,)
    width = module.hidden_size * (2 if module.bidirectional else 1)
    outputs = steps.new_zeros(B, T, width)  # (B, T, D·H)
    if not len(running):
        return outputs, states
    packed = pack_padded_sequence(steps[running], lengths[running].clamp(max=T), batch_first=True, enforce_sorted=False)
    before = tuple(state[:, running].contiguous() for state in states)  # (L·D, those that run, H) each
    of_steps, ended = module(packed, before if len(before) > 1 else before[0])
    padded, _ = pad_packed_sequence(of_steps, batch_first=True, total_length=T)  # (those that run, T, D·H)
    ended = ended if len(before) > 1 else (ended,)
    there = running.to(steps.device)  # lengths are on the processor
    after = (state.index_copy(1, there, own) for state, own in zip(states, ended, strict=True))  # (L·D, B, H) each
    return outputs.index_copy(0, there, padded), tuple(after)
