"""``torch-cell``: the step of a recurrence in torch's operations under autograd, with any activation.

The step is the harness's own, and so are the layers around it. Torch's own cells are not used, so both variants of the
gru are available.
"""

from __future__ import annotations

from harness.implementations.base import ANY, Returned, implementation
from harness.implementations.pytorch import TORCH
from harness.problem import Problem


@implementation("torch-cell", layout="split", framework=TORCH, complete=True, recurrence=ANY)
def torch_cell(problem: Problem) -> Returned:
    """The recurrence unrolled in torch operations under autograd."""
    from harness.derive.namespaces import torch

    return torch.gradients(problem.calculation)
