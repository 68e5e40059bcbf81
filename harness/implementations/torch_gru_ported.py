"""The weights of a gru whose reset is before the product, loaded into torch's nn.GRU, whose reset is after it.

nn.GRU has no option for the reset before the product. Weights of Keras' ``reset_after=False``, of TensorFlow 1's
GRUCell or of the paper have the right shapes for it, with a recurrent bias of zero, and it accepts them. But it
computes another function. This implementation shows the result of such a port, in cases that list it.
"""

from __future__ import annotations

from harness.implementations.base import Returned, implementation, refuse_directions_and_lengths
from harness.implementations.pytorch import TORCH, leaf, loss_of
from harness.problem import Problem


@implementation(
    "torch-gru-ported",
    framework=TORCH,
    supports={"cell": ("gru",), "reset": ("before",), "truncation": ("none",)},
    complete=True,
    only_named=True,
)
def torch_gru_ported(problem: Problem) -> Returned:
    """Weights of a gru with its reset before the product, loaded into torch.nn.GRU, which has it after."""
    import torch

    refuse_directions_and_lengths(problem)
    structure = problem.structure
    names = {"W_xh": "weight_ih", "W_hh": "weight_hh", "b_h": "bias_ih"}
    module = torch.nn.GRU(
        structure.input, structure.hidden, structure.layers, batch_first=True, dtype=getattr(torch, problem.case.dtype)
    )
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for n, block in enumerate(structure.blocks):
            for ours, theirs in names.items():
                parameters[f"{theirs}_l{n}"].copy_(torch.tensor(problem.weights[f"{block}.{ours}"].T.copy()))
            parameters[f"bias_hh_l{n}"].zero_()
    readout = {name: leaf(array) for name, array in problem.weights.items() if name.startswith("readout.")}
    initial_state = {name: leaf(array) for name, array in problem.initial_state.items()}  # (B, H) each
    inputs = leaf(problem.inputs)  # (B, T, I)
    outputs, _ = module(inputs, torch.stack(list(initial_state.values())))  # (B, T, H)
    if readout:
        outputs = outputs @ readout["readout.W_hy"] + readout["readout.b_y"]  # (B, T, O)
    loss = loss_of(problem, outputs)
    ported = {
        f"{block}.{ours}": parameters[f"{theirs}_l{n}"]
        for n, block in enumerate(structure.blocks)
        for ours, theirs in names.items()
    }
    leaves = {**ported, **readout, **initial_state, "inputs": inputs}
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    found = {
        name: gradient.T.numpy() if name in ported else gradient.numpy()
        for name, gradient in zip(leaves, gradients, strict=True)
    }
    return {"loss": loss.detach().numpy(), "outputs": outputs.detach().numpy(), **found}
