"""The namespace ``xp`` that a step calls: one small set of functions, which each framework's file provides.

The names are those of the Python array API (2023.12), and ``sigmoid softplus silu relu einsum log_softmax stop``.
``xp.activation`` is tanh, or the function that a case of a network names.
``xp.stop(v)``, ``xp.clip_slope(f, limit)`` and ``xp.surrogate(f, slope)`` declare a backward pass that is not the
derivative on purpose: no gradient through ``v``, the slope of ``f`` limited to ±``limit``, and the function ``slope``
in place of the slope of ``f``.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from harness.casefile import listed, nearest

UNARY = ("exp", "log", "log1p", "expm1", "tanh", "sqrt", "sin", "cos", "sigmoid", "softplus", "silu", "relu", "abs")
"""Elementwise functions of one array."""

BINARY = ("maximum", "minimum")
"""Elementwise functions of two arrays."""

STRUCTURAL = ("matmul", "einsum", "where", "concat", "stack", "reshape", "permute_dims", "sum", "mean", "zeros_like")
"""Functions that move, multiply or add up elements."""

ROWS = ("log_softmax",)
"""Functions of each row along the last axis."""

DECLARED = ("stop", "clip_slope", "surrogate")
"""Functions that declare a backward pass that is not the derivative."""

NAMES = (*UNARY, *BINARY, *STRUCTURAL, *ROWS, *DECLARED)
"""Every name that a step may call."""


class OutsideNamespaceError(TypeError):
    """A step calls a function that ``xp`` does not have, or uses arrays in a way that no route can follow."""


class Namespace:
    """The functions of one framework under the names of ``NAMES``.

    Attributes:
        activation: tanh, or the function that ``with_activation`` set.
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        if odd := set(functions) ^ set(NAMES):
            raise TypeError(f"a namespace should have the functions of NAMES, but not, or also, {sorted(odd)}")
        self.__dict__.update(functions)
        self.activation: Callable[..., Any] = functions["tanh"]

    def with_activation(self, name: str) -> Namespace:
        """Return the namespace with the function ``name`` as its activation; ``identity`` returns its argument."""
        found = copy(self)
        found.activation = (lambda v: v) if name == "identity" else getattr(self, name)
        return found

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):  # Python looks for such attributes
            raise AttributeError(name)
        hint = nearest(name, NAMES) or f"there are {listed(NAMES)}"
        raise OutsideNamespaceError(f"xp has no {name!r}; {hint}")
