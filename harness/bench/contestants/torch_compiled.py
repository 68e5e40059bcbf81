"""``torch-compiled``: torch's module under torch.compile, which unrolls the steps; it runs only when named.

Compiling ten steps of an lstm takes minutes and does not make it faster: the unrolled steps were a single call before.
"""

from __future__ import annotations

from harness.bench.contestants.base import Contestant, Pass
from harness.bench.contestants.pytorch import passes_of
from harness.implementations.pytorch import TORCH
from harness.problem import Problem


def prepare(problem: Problem, threads: int) -> Pass:
    """Return the two passes of torch's own module, compiled by the first call."""
    import torch

    torch._dynamo.config.allow_rnn = True  # otherwise torch does not compile a recurrent module
    return passes_of(problem, threads, torch.compile)


CONTESTANT = Contestant("torch-compiled", "torch", TORCH, prepare, only_named=True)
