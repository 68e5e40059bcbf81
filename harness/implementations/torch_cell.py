"""``torch-cell``: the recurrence unrolled by hand in torch operations under autograd, with any activation.

The formulas are those of ``reference_impls``, written anew step by step. Torch's own cells are not used, so both
variants of the gru are available.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from harness.derive.truncated import pieces
from harness.implementations.base import ANY, Returned, implementation
from harness.implementations.pytorch import TORCH, leaf, loss_of, zero_past_ends
from harness.problem import Problem
from harness.problem.recurrent import RecurrenceProblem
from harness.tensors import STATES

if TYPE_CHECKING:
    from torch import Tensor


States = tuple["Tensor", ...]
"""A layer's states, (B, H) each."""

Step = Callable[["Tensor", States, Mapping[str, "Tensor"], Callable[["Tensor"], "Tensor"]], States]
"""A function from x_t (B, I), the states before it, the layer's weights and φ to the states after it, h first."""


def _rnn(x: Tensor, states: States, w: Mapping[str, Tensor], phi: Callable[[Tensor], Tensor]) -> States:
    (h,) = states
    return (phi(x @ w["W_xh"] + h @ w["W_hh"] + w["b_h"]),)


def _lstm(x: Tensor, states: States, w: Mapping[str, Tensor], phi: Callable[[Tensor], Tensor]) -> States:
    h, c = states
    i, f, g, o = (x @ w["W_xh"] + h @ w["W_hh"] + w["b_h"]).chunk(4, dim=-1)  # (B, H) each
    c = f.sigmoid() * c + i.sigmoid() * phi(g)  # (B, H)
    return o.sigmoid() * phi(c), c


def _gru(x: Tensor, states: States, w: Mapping[str, Tensor], phi: Callable[[Tensor], Tensor]) -> States:
    (h,) = states
    H = h.shape[1]
    from_inputs, W_hh = x @ w["W_xh"] + w["b_h"], w["W_hh"]  # (B, 3H), (H, 3H)
    r, z = (from_inputs[:, : 2 * H] + h @ W_hh[:, : 2 * H]).sigmoid().chunk(2, dim=-1)  # (B, H) each
    W_hn = W_hh[:, 2 * H :]  # (H, H)
    recurrent = r * (h @ W_hn + w["b_hn"]) if "b_hn" in w else (r * h) @ W_hn  # (B, H): reset after, or before
    n = phi(from_inputs[:, 2 * H :] + recurrent)  # (B, H)
    return ((1 - z) * n + z * h,)


STEPS: Mapping[str, Step] = {"rnn": _rnn, "lstm": _lstm, "gru": _gru}
"""One step of each cell."""


@implementation(
    "torch-cell", layout="split", framework=TORCH, supports={"cell": tuple(STEPS)}, complete=True, recurrence=ANY
)
def torch_cell(problem: Problem) -> Returned:
    """The recurrence unrolled in torch operations under autograd."""
    if isinstance(problem, RecurrenceProblem):
        from harness.derive.namespaces import torch as on_torch

        return on_torch.gradients(problem.sequences)
    import torch

    activation = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda a: a}[
        problem.case.activation
    ]
    weights = {name: leaf(array) for name, array in problem.weights.items()}
    initial_state = {name: leaf(array) for name, array in problem.initial_state.items()}
    inputs = leaf(problem.inputs)  # (B, T, I)

    step, names, structure = STEPS[problem.case.cell], STATES[problem.case.cell], problem.structure
    own = {  # the weights of each block
        block: {name.rpartition(".")[2]: each for name, each in weights.items() if name.rpartition(".")[0] == block}
        for block in structure.blocks
    }
    valid = None if problem.lengths is None else torch.tensor(problem.valid)[:, :, None]  # (B, T, 1)

    def run(first: int, last: int, states: dict[str, States]) -> tuple[Tensor, dict[str, States]]:
        below, ended = list(inputs[:, first:last].unbind(1)), dict(states)  # last - first of (B, I)
        for n in range(structure.layers):
            directions = structure.blocks_of(n)
            found = {block: list(below) for block in directions}  # last - first of (B, H) each, when they are computed
            for block in directions:
                order = range(last - first)
                for t in reversed(order) if block.endswith(".reverse") else order:
                    after = step(below[t], ended[block], own[block], activation)  # (B, H) each
                    found[block][t] = after[0]
                    if valid is not None:
                        there = valid[:, first + t]  # (B, 1)
                        after = tuple(torch.where(there, a, b) for a, b in zip(after, ended[block], strict=True))
                        found[block][t] = after[0].masked_fill(~there, 0)
                    ended[block] = after
            below = [torch.cat(both, -1) for both in zip(*found.values(), strict=True)]  # last - first of (B, D·H)
        return torch.stack(below, 1), ended  # (B, last - first, D·H)

    def constant(states: dict[str, States]) -> dict[str, States]:
        return {block: tuple(state.detach() for state in of_block) for block, of_block in states.items()}

    initial = {block: tuple(initial_state[f"{block}.{name}"] for name in names) for block in structure.blocks}
    outputs = torch.cat(pieces(problem.truncation, structure.time, initial, run, constant), 1)  # (B, T, D·H)
    if "readout.W_hy" in weights:
        outputs = outputs @ weights["readout.W_hy"] + weights["readout.b_y"]  # (B, T, O)
        outputs = zero_past_ends(problem, outputs)

    loss = loss_of(problem, outputs)
    leaves = {**weights, **initial_state, "inputs": inputs}
    # A tensor that a truncated gradient does not reach is not in the graph; its gradient is zero.
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return {
        "loss": loss.detach().numpy(),
        "outputs": outputs.detach().numpy(),
        **{name: gradient.numpy() for name, gradient in zip(leaves, gradients, strict=True)},
    }
