"""``torch``: nn.RNN with its own stacking of layers, and autograd."""

from __future__ import annotations

from harness.implementations.base import Returned, implementation
from harness.implementations.pytorch import TORCH, initial_weights, leaf, loss_of
from harness.problem import Problem


@implementation(
    "torch",
    layout="torch",
    framework=TORCH,
    supports={"cell": ("rnn",), "truncation": ("none",), "activation": ("tanh", "relu")},
    complete=True,
    initial_weights=initial_weights,
)
def torch_rnn(problem: Problem) -> Returned:
    """torch.nn.RNN and nn.Linear under autograd."""
    import torch

    case, structure = problem.case, problem.structure
    dtype = getattr(torch, case.dtype)
    module = torch.nn.RNN(
        structure.input,
        structure.hidden,
        structure.layers,
        nonlinearity=case.activation,
        batch_first=True,
        dtype=dtype,
    )
    readout = {name: array for name, array in problem.weights.items() if name.startswith("readout.")}
    module.load_state_dict({n: torch.tensor(array) for n, array in problem.weights.items() if n not in readout})
    inputs = leaf(problem.inputs)  # (B, T, I)
    initial_state = {name: leaf(array) for name, array in problem.initial_state.items()}  # (B, H) each
    outputs, _ = module(inputs, torch.stack(list(initial_state.values())))  # (B, T, H)
    weights = dict(module.named_parameters())
    if readout:
        linear = torch.nn.Linear(structure.hidden, structure.outputs[-1], dtype=dtype)
        linear.load_state_dict({n.removeprefix("readout."): torch.tensor(array) for n, array in readout.items()})
        outputs = linear(outputs)  # (B, T, O)
        weights |= {f"readout.{name}": parameter for name, parameter in linear.named_parameters()}

    loss = loss_of(problem, outputs)
    loss.backward()
    leaves = {**weights, **initial_state, "inputs": inputs}
    gradients = {name: tensor.grad.numpy() for name, tensor in leaves.items() if tensor.grad is not None}
    return {"loss": loss.detach().numpy(), "outputs": outputs.detach().numpy(), **gradients}
