"""``torch-compiled``: the same under torch.compile, which unrolls the steps: only where it is asked for by name.

Compiling ten steps of an lstm takes minutes, and makes it no faster: what is unrolled was one call for all steps.
"""

from __future__ import annotations

from harness.bench.contestants.base import Contestant, Pass
from harness.bench.contestants.pytorch import passes_of
from harness.implementations.pytorch import TORCH
from harness.problem import Problem


def prepare(problem: Problem, threads: int) -> Pass:
    """Return the two passes of torch's own module, compiled by the first call."""
    import torch

    torch._dynamo.config.allow_rnn = True  # without it a recurrent module is left as it is
    return passes_of(problem, threads, torch.compile)


CONTESTANT = Contestant("torch-compiled", "torch", TORCH, prepare, only_named=True)
