"""``torch``: nn.RNN, nn.LSTM or nn.GRU and autograd, eagerly."""

from __future__ import annotations

from harness.bench.contestants.base import Contestant, Pass
from harness.bench.contestants.pytorch import passes_of
from harness.implementations.pytorch import TORCH
from harness.problem import Problem


def prepare(problem: Problem, threads: int) -> Pass:
    """Return the two passes of torch's own module."""
    return passes_of(problem, threads)


CONTESTANT = Contestant("torch", "torch", TORCH, prepare)
