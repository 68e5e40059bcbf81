r"""Layers stacked on each other, a readout on top, a loss on that: the whole network and its gradient.

Layer n reads the outputs of layer n − 1 (layer 0 the inputs), step by step. Backward runs the other way: the gradient
of a layer's inputs is the gradient of the outputs of the layer below,

    g^(n-1)_t = dx^(n)_t                        (B, H)

and nothing else passes between layers. A layer is a module with ``WEIGHTS``, ``forward`` and ``backward``
(``rnn_split``, ``rnn_concatenated``); its weights are named ``layerN.`` + their name in ``WEIGHTS``.

Where the loss of a step reaches only so far back (``truncation``), the same goes for each lag by itself. One lag after
the other passes through all layers, which keep no more of it than the last lag and the sum of all; for this a layer
has ``slopes``, ``lag``, ``to_inputs`` and ``read_off``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls import readout
from reference_impls.activations import Activation
from reference_impls.truncation import Detach, Truncation, Window


class ForwardPass(NamedTuple):
    """The outputs of a network and what its backward pass needs."""

    outputs: ndarray  # (B, T, H), or (B, T, O) with a readout
    caches: list[Any]  # one a layer


def forward(
    layer: ModuleType,
    weights: Mapping[str, ndarray],
    inputs: ndarray,
    initial_state: Mapping[str, ndarray],
    activation: Activation,
) -> ForwardPass:
    """Run the network.

    Args:
        layer: the module of the layers, ``rnn_split`` for one.
        weights: ``layerN.<weight>`` for each layer and weight, and for a readout ``readout.W_hy`` (H, O) and
            ``readout.b_y`` (O,).
        inputs: (B, T, I).
        initial_state: ``layerN.h0`` (B, H) for each layer.
        activation: φ, one of ``ACTIVATIONS``.

    Returns:
        The outputs, (B, T, H) or (B, T, O), with the caches.
    """
    x = inputs.swapaxes(0, 1).copy()  # (T, B, I)
    caches = []
    for n in range(len(initial_state)):
        layer_weights = [weights[f"layer{n}.{name}"] for name in layer.WEIGHTS]
        cache = layer.forward(x, initial_state[f"layer{n}.h0"], *layer_weights, activation=activation)
        caches.append(cache)
        x = cache.states[1:]  # (T, B, H)
    if "readout.W_hy" in weights:
        x = readout.forward(x, weights["readout.W_hy"], weights["readout.b_y"])  # (T, B, O)
    return ForwardPass(x.swapaxes(0, 1), caches)


def backward(
    layer: ModuleType,
    weights: Mapping[str, ndarray],
    passed: ForwardPass,
    d_outputs: ndarray,
    truncation: Truncation | None = None,
) -> dict[str, ndarray]:
    """Carry d_outputs back through the readout and all layers.

    Args:
        layer: the module that ``forward`` was given.
        weights: the weights that ``forward`` was given.
        passed: what ``forward`` returned.
        d_outputs: the gradient of the outputs, (B, T, H) or (B, T, O).
        truncation: how far the gradient is carried back through time; None for all the way.

    Returns:
        The gradient of every weight, of ``inputs`` (B, T, I) and of each ``layerN.h0`` (B, H), by name.
    """
    gradients: dict[str, ndarray] = {}
    d_x = d_outputs.swapaxes(0, 1)  # (T, B, H) or (T, B, O)
    if "readout.W_hy" in weights:
        d_x, of_readout = readout.backward(passed.caches[-1].states[1:], weights["readout.W_hy"], d_x)  # (T, B, H)
        gradients |= {f"readout.{name}": gradient for name, gradient in of_readout.items()}
    totals = _windowed(layer, passed.caches, d_x, truncation) if isinstance(truncation, Window) else None
    for n in reversed(range(len(passed.caches))):
        if totals is not None:
            d_x, d_h0, of_layer = layer.read_off(passed.caches[n], totals[n])  # d_x: (T, B, I or H)
        elif isinstance(truncation, Detach):
            d_x, d_h0, of_layer = layer.backward(passed.caches[n], d_x, truncation.every)  # (T, B, I or H)
        else:
            d_x, d_h0, of_layer = layer.backward(passed.caches[n], d_x)  # (T, B, I or H)
        gradients |= {f"layer{n}.{name}": gradient for name, gradient in of_layer.items()}
        gradients[f"layer{n}.h0"] = d_h0
    gradients["inputs"] = d_x.swapaxes(0, 1)  # (B, T, I)
    return gradients


def _windowed(layer: ModuleType, caches: list[Any], d_top: ndarray, window: Window) -> list[ndarray]:
    """Return Σ_d of what each layer's recursion carries, (T, B, H) a layer, from the top layer's g, (T, B, H)."""
    T = len(d_top)
    slopes = [layer.slopes(cache) for cache in caches]  # (T, B, H) each
    totals = [np.zeros_like(slope) for slope in slopes]  # (T, B, H) each
    carried: list[ndarray | None] = [None for _ in caches]  # (T - d, B, H) each
    for d in range(window.lags(T)):
        g = d_top if d == 0 else None  # (T - d, B, H)
        for n in reversed(range(len(caches))):
            newest = layer.lag(caches[n], slopes[n], g, carried[n])  # (T - d, B, H)
            totals[n][: T - d] += newest
            carried[n] = newest
            if n > 0:
                g = layer.to_inputs(caches[n], slopes[n], newest)  # (T - d, B, H)
    return totals


def loss_and_gradients(
    layer: ModuleType,
    weights: Mapping[str, ndarray],
    inputs: ndarray,
    initial_state: Mapping[str, ndarray],
    activation: Activation,
    loss: Callable[[ndarray], tuple[ndarray, ndarray]],
    truncation: Truncation | None = None,
) -> tuple[ndarray, ndarray, dict[str, ndarray]]:
    """Run the network forward, take the loss, run it backward.

    Args:
        layer: the module of the layers.
        weights: as for ``forward``.
        inputs: (B, T, I).
        initial_state: as for ``forward``.
        activation: φ.
        loss: maps outputs to (loss, d_outputs).
        truncation: as for ``backward``.

    Returns:
        The loss of shape (), the outputs, and the gradients as ``backward`` returns them.
    """
    passed = forward(layer, weights, inputs, initial_state, activation)
    value, d_outputs = loss(passed.outputs)
    return value, passed.outputs, backward(layer, weights, passed, d_outputs, truncation)
