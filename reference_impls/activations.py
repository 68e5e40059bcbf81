r"""The pointwise nonlinearities, each with its derivative written in terms of its own value.

Backpropagation needs φ'(a) where the forward pass computed h = φ(a). For all four the derivative is a function of h
alone, so the forward pass caches h and forgets a:

    tanh       φ(a) = (eᵃ − e⁻ᵃ) / (eᵃ + e⁻ᵃ)      φ' = 1 − h²
    sigmoid    φ(a) = 1 / (1 + e⁻ᵃ)                φ' = h (1 − h)
    relu       φ(a) = a where a > 0, else 0        φ' = 1 where h > 0, else 0
    identity   φ(a) = a                            φ' = 1

relu has no derivative at a = 0; its slope is 0 there, as in torch.relu and tf.nn.relu.

Each ``value`` is also right for complex arguments near the real axis, so a forward pass can be differentiated by
complex perturbation: comparisons use the real part only, and no function takes an absolute value or a conjugate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy import ndarray


class Activation(NamedTuple):
    """A nonlinearity φ.

    Attributes:
        value: ``value(a, out)`` writes φ(a) into ``out``, both of one shape and dtype. ``out`` may be ``a`` itself.
        slope_at_value: ``slope_at_value(h)`` is φ'(a) where h = φ(a), in a new array of the shape of h.
    """

    value: Callable[[ndarray, ndarray], ndarray]
    slope_at_value: Callable[[ndarray], ndarray]


def _tanh(a: ndarray, out: ndarray) -> ndarray:
    return np.tanh(a, out=out)


def _tanh_slope(h: ndarray) -> ndarray:
    slope = h * h
    return np.subtract(1, slope, out=slope)


def _sigmoid(a: ndarray, out: ndarray) -> ndarray:
    # e⁻|ᵃ| never overflows; 1/(1+e⁻ᵃ) would, from a = −710 on in float64 and from −89 on in float32.
    if np.iscomplexobj(a):
        positive = a.real > 0
        decay = np.exp(np.where(positive, -a, a))
        return np.divide(np.where(positive, 1, decay), 1 + decay, out=out)
    # The result is the same for real numbers, to the bit. Two exponentials take less time than two choices.
    below = np.copysign(a, -1)  # −|a|
    np.exp(below, out=below)
    below += 1
    np.minimum(a, 0, out=out)
    np.exp(out, out=out)  # 1 where a > 0, else eᵃ
    return np.divide(out, below, out=out)


def _sigmoid_slope(h: ndarray) -> ndarray:
    slope = 1 - h
    slope *= h
    return slope


def _relu(a: ndarray, out: ndarray) -> ndarray:
    return np.multiply(a, a.real > 0, out=out) if np.iscomplexobj(a) else np.maximum(a, 0, out=out)


def _relu_slope(h: ndarray) -> ndarray:
    return (h.real > 0).astype(h.dtype)


def _identity(a: ndarray, out: ndarray) -> ndarray:
    if out is not a:
        out[...] = a
    return out


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(_tanh, _tanh_slope),
    "relu": Activation(_relu, _relu_slope),
    "sigmoid": Activation(_sigmoid, _sigmoid_slope),
    "identity": Activation(_identity, np.ones_like),
}
"""Every activation by its name in case files."""
