"""``torch``: nn.RNN, nn.LSTM or nn.GRU with its own stacking of layers, and autograd."""

from __future__ import annotations

from harness.implementations.base import Returned, implementation
from harness.implementations.pytorch import TORCH, initial_weights
from harness.implementations.torch_module import SUPPORTS, answer
from harness.problem import Problem


@implementation(
    "torch", layout="torch", framework=TORCH, supports=SUPPORTS, complete=True, initial_weights=initial_weights
)
def torch_rnn(problem: Problem) -> Returned:
    """torch.nn.RNN, nn.LSTM, nn.GRU and nn.Linear under autograd."""
    return answer(problem, "cpu")
