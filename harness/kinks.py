r"""Where relu has no derivative: pre-activations at its kink, and the gradient for any slope taken there.

relu(a) has the slope 1 above zero and 0 below. At zero any slope from 0 to 1 is as right as any other (a subgradient),
and frameworks differ: torch.relu takes 0, torch.maximum ½, torch.clamp 1. Where a is zero but for rounding, two right
implementations may find it on different sides. A pre-activation counts as at the kink if

    |a| ≤ n · eps · (|x| |W_xh| + |h| |W_hh| + |b_h|),        n = I + H + 1

the bound of the rounding error of a sum of n products (Higham 2002, section 3.1). Exact zeros are among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy import ndarray

from reference_impls.activations import Activation
from reference_impls.network import ForwardPass

Slopes = Sequence[ndarray]
"""φ'(a) of each layer, (T, B, H)."""


def at_kink(passed: ForwardPass, weights: Mapping[str, ndarray]) -> list[ndarray]:
    """Return which pre-activations are at the kink, within rounding: for each layer (T, B, H) of bool.

    Args:
        passed: the forward pass of split weights with relu.
        weights: those weights.
    """
    found = []
    for n, cache in enumerate(passed.caches):
        (_, _, I), H = cache.x.shape, cache.W_hh.shape[0]
        terms = np.abs(cache.x) @ np.abs(cache.W_xh) + np.abs(cache.states[:-1]) @ np.abs(cache.W_hh)  # (T, B, H)
        terms += np.abs(weights[f"layer{n}.b_h"])
        found.append(np.abs(cache.pre) <= (I + H + 1) * np.finfo(cache.pre.dtype).eps * terms)
    return found


def slopes_by_sign(passed: ForwardPass) -> list[ndarray]:
    """Return the slopes that the reference takes, 1 above zero and 0 elsewhere: for each layer (T, B, H)."""
    return [(cache.pre > 0).astype(cache.pre.dtype) for cache in passed.caches]


def with_slopes(passed: ForwardPass, slopes: Slopes) -> ForwardPass:
    """Return a forward pass whose backward pass takes these slopes instead of the activation's."""

    def taking(activation: Activation, of_layer: ndarray) -> Activation:
        return Activation(activation.value, lambda h: of_layer.astype(h.dtype))  # a copy, which backward overwrites

    caches = [
        cache._replace(activation=taking(cache.activation, of_layer))
        for cache, of_layer in zip(passed.caches, slopes, strict=True)
    ]
    return passed._replace(caches=caches)
