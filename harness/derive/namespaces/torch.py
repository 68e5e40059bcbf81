"""The namespace on torch, and gradients by its autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy import ndarray

from harness.derive.namespaces import BINARY, UNARY, Namespace
from harness.derive.stepping import Calculation, Loop

_OWN = {
    "softplus": lambda v: torch.logaddexp(v, torch.zeros_like(v)),  # torch's own is linear above 20
    "silu": torch.nn.functional.silu,
}


def _slope_of(function: Callable[[Any], Any], v: Any) -> Any:
    with torch.enable_grad():
        at = v.detach().requires_grad_()
        return torch.autograd.grad(function(at).sum(), at)[0]


def _with_slope(function: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function with another slope: v minus itself is zero, and its derivative is one."""
    return lambda v: function(v).detach() + slope(v).detach() * (v - v.detach())


def _clip_slope(function: Callable[[Any], Any], limit: float) -> Callable[[Any], Any]:
    return _with_slope(function, lambda v: _slope_of(function, v).clamp(-limit, limit))


def _sum(v: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return torch.sum(v, dim=axis, keepdim=keepdims)


def _mean(v: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return torch.mean(v, dim=axis, keepdim=keepdims)


def _where(condition: Any, a: Any, b: Any) -> Any:
    return torch.where(condition, a, b)


def _pair(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of two tensors that takes a number for one of them."""

    def call(a: Any, b: Any) -> Any:
        tensor = a if isinstance(a, torch.Tensor) else b
        return function(*(torch.as_tensor(each, dtype=tensor.dtype, device=tensor.device) for each in (a, b)))

    return call


xp = Namespace(
    **{name: _OWN.get(name) or getattr(torch, name) for name in UNARY},
    **{name: _pair(getattr(torch, name)) for name in BINARY},
    matmul=torch.matmul,
    einsum=torch.einsum,
    where=_where,
    concat=lambda parts, axis=0: torch.cat(list(parts), axis),
    stack=lambda parts, axis=0: torch.stack(list(parts), axis),
    reshape=torch.reshape,
    permute_dims=torch.permute,
    sum=_sum,
    mean=_mean,
    zeros_like=torch.zeros_like,
    log_softmax=lambda v: torch.log_softmax(v, -1),
    stop=lambda v: v.detach(),
    clip_slope=_clip_slope,
    surrogate=_with_slope,
)
"""The namespace."""


def gradients(problem: Calculation) -> dict[str, ndarray]:
    """Return loss, outputs, last states and every gradient by torch's autograd, in the problem's dtype."""
    leaves: dict[str, Any] = {}

    def leaf(name: str, array: ndarray) -> Any:
        leaves[name] = torch.tensor(array, requires_grad=True)
        return leaves[name]

    answers = problem.mapped(leaf).answers(Loop(xp, torch.tensor))
    # A tensor that a truncated gradient does not reach is not in the graph; its gradient is zero.
    found = torch.autograd.grad(answers["loss"], list(leaves.values()), allow_unused=True, materialize_grads=True)
    by_name = {name: g for name, g in zip(leaves, found, strict=True) if name not in problem.constant}
    return {name: each.detach().numpy() for name, each in {**answers, **by_name}.items()}
