"""``torch-optimizer``: a training with torch alone - nn.RNN, nn.LSTM or nn.GRU, autograd, clip_grad_*_, torch.optim.

This implementation follows the case wherever torch differs from it. For each difference a twin, which takes part only
when named, leaves torch as it is:

    torch-two-biases   torch has two biases that are only ever added. Each has the whole gradient, so their sum moves
                       twice as far by gradient descent and counts twice in a norm. Here the second is not trained.
    torch-clip-norm    clip_grad_norm_ scales to c · ‖g‖ / (‖g‖ + 1e-6), a little less than c. Here c is a little more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.derive.truncated import pieces
from harness.implementations.base import Implementation, Returned, implementation
from harness.implementations.own_optimiser import loop_of, masks_of, optimizer_of, train
from harness.implementations.pytorch import TORCH, leaf, loss_of, module_of
from harness.problem import Problem
from harness.tensors import STATES

if TYPE_CHECKING:
    from torch import Tensor

TOO_MUCH = 1e-6
"""The number that clip_grad_norm_ adds to the norm before it divides by it."""


class _TorchNetwork:
    """torch's modules with a problem's weights, and its optimiser.

    Args:
        problem: The problem, in the torch layout.
        second_bias_rests: True if the second of two biases that are only ever added is not trained.
        exact_norm: True if the norm is clipped to the limit itself.
    """

    def __init__(self, problem: Problem, *, second_bias_rests: bool, exact_norm: bool) -> None:
        import torch

        case, structure = problem.case, problem.structure
        self.training, self.structure, self.exact_norm = loop_of(problem), structure, exact_norm
        options = {"nonlinearity": case.activation} if case.cell == "rnn" else {}
        self.module = module_of(structure, case.dtype, **options)
        self.readout: Any = None
        if structure.output is not None:
            self.readout = torch.nn.Linear(structure.hidden, structure.output, dtype=getattr(torch, case.dtype))
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.tensor(problem.weights[name]))
        self.masks = {name: torch.tensor(mask) for name, mask in masks_of(problem).items()}
        for name, mask in self.masks.items() if second_bias_rests else ():
            if name.startswith("bias_hh"):
                # The candidate's part of a gru's second bias is trained: it is b_hn.
                mask[: 2 * structure.hidden if structure.has_recurrent_bias else None] = 0
        kind, lr = optimizer_of(self.training)
        self.optimizer: Any = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[kind](self.parameters.values(), lr=lr)
        self.carried: tuple[Tensor, ...] | None = None

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Return every parameter by its name in the torch layout."""
        named = dict(self.module.named_parameters())
        of_readout = {} if self.readout is None else dict(self.readout.named_parameters())
        return named | {f"readout.{name}": each for name, each in of_readout.items()}

    def loss(self, problem: Problem, inputs: Tensor, initial: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return the loss, (), and the outputs, (B, T, H) or (B, T, O), from the initial states, (L, B, H) each."""
        import torch

        def run(first: int, last: int, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
            return self.run(inputs[:, first:last], states)

        def constant(states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(state.detach() for state in states)

        outputs = torch.cat(pieces(problem.truncation, self.structure.time, initial, run, constant), 1)  # (B, T, H)
        if self.readout is not None:
            outputs = self.readout(outputs)  # (B, T, O)
        return loss_of(problem, outputs), outputs

    def run(self, inputs: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the outputs (B, t, H) of inputs (B, t, I), and the states after them, (L, B, H) each."""
        outputs, ended = self.module(inputs, states if len(states) > 1 else states[0])  # an lstm takes a pair
        return outputs, ended if len(states) > 1 else (ended,)

    def stacked(self, states: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Return states by name, (B, H) each, in torch's form: (L, B, H) each."""
        import torch

        names = STATES[self.structure.cell]
        return tuple(torch.stack([states[f"{block}.{name}"] for block in self.structure.blocks]) for name in names)

    def differentiate(self, of_step: Problem) -> float:
        """Run a step's sequences and keep the gradients."""
        import torch

        inputs = torch.tensor(of_step.inputs)  # (b, T, I)
        initial = self.carried
        if initial is None:
            initial = self.stacked({name: torch.tensor(each) for name, each in of_step.initial_state.items()})
        self.optimizer.zero_grad()
        loss, _ = self.loss(of_step, inputs, initial)
        loss.backward()
        if self.training.get("carry_state"):
            with torch.no_grad():
                self.carried = self.run(inputs, initial)[1]
        return float(loss)

    def update(self, lr: float) -> float:
        """Clip the gradients by torch's own functions, and update the weights by its optimiser."""
        import torch

        for name, parameter in self.parameters.items():
            # A parameter that does not affect the loss has no gradient, such as W_hh if no loss reaches back a step.
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad *= self.masks[name]
        parameters = list(self.parameters.values())
        norm = _norm(parameters)
        if (limit := self.training.get("clip_value")) is not None:
            torch.nn.utils.clip_grad_value_(parameters, limit)
        if (limit := self.training.get("clip_norm")) is not None:
            more = 1 + TOO_MUCH / max(_norm(parameters), TOO_MUCH**2) if self.exact_norm else 1
            torch.nn.utils.clip_grad_norm_(parameters, limit * more)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return norm


def _norm(parameters: list[Tensor]) -> float:
    import torch

    return float(torch.stack([each.grad.norm() for each in parameters if each.grad is not None]).norm())


def _trained(name: str, about: str, *, only_named: bool = False, **differently: bool) -> Implementation:
    """Make an implementation that trains with torch's optimisers and follows the case, except for ``differently``."""

    def function(problem: Problem) -> Returned:
        import torch

        network = _TorchNetwork(problem, **{"second_bias_rests": True, "exact_norm": True, **differently})
        inputs = leaf(problem.inputs)  # (B, T, I)
        initial_state = {each: leaf(array) for each, array in problem.initial_state.items()}  # (B, H) each
        loss, outputs = network.loss(problem, inputs, network.stacked(initial_state))
        leaves = {**network.parameters, **initial_state, "inputs": inputs}
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
        answer = {"loss": loss.detach().numpy(), "outputs": outputs.detach().numpy()}
        answer |= {each: gradient.numpy() for each, gradient in zip(leaves, found, strict=True)}
        answer |= train(problem, network)
        return answer | {f"trained.{each}": weight.detach().numpy() for each, weight in network.parameters.items()}

    function.__doc__ = about
    return implementation(
        name,
        layout="torch",
        framework=TORCH,
        supports={"cell": ("rnn", "lstm", "gru"), "activation": ("tanh", "relu"), "reset": ("after",)},
        complete=True,
        own_optimiser=True,
        only_named=only_named,
    )(function)


torch_optimizer = _trained("torch-optimizer", "torch alone: its modules, autograd, clip_grad_*_ and torch.optim.")
torch_two_biases = _trained(
    "torch-two-biases",
    "torch-optimizer with both of torch's biases trained, whose sum then moves twice as far.",
    only_named=True,
    second_bias_rests=False,
)
torch_clip_norm = _trained(
    "torch-clip-norm",
    "torch-optimizer with clip_grad_norm_ as it is, which divides by the norm + 1e-6.",
    only_named=True,
    exact_norm=False,
)
