r"""The whole network and its gradient: stacked layers, a readout and a loss.

Layer n reads the outputs of layer n − 1 (layer 0 the inputs), step by step. Backward, the gradient of a layer's inputs
is the gradient of the outputs of the layer below,

    g^(n-1)_t = dx^(n)_t                        (B, H)

and nothing else passes between layers, for any number of states (an lstm keeps its c to itself). ``layer`` defines the
interface of a layer; its weights and initial states are named ``layerN.`` + their name in ``WEIGHTS`` and ``STATES``.

With a truncated gradient (``truncation``), the same holds for each pass by itself. If the layer has ``slopes``,
``lag``, ``to_inputs`` and ``read_off``, it holds for each lag. One lag after the other passes through all layers, which
keep only the last lag and the sum of all.

D is the number of directions: 2 if the layers are bidirectional, else 1. Past the end of a sequence that is shorter
than others (``lengths``), the outputs are zero, even with a readout, and their gradient is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls import readout
from reference_impls.activations import Activation
from reference_impls.layer import AnyLayer, lengths_of, states_of
from reference_impls.lengths import zero_past
from reference_impls.truncation import Truncation, Window, passes


class ForwardPass(NamedTuple):
    """The outputs of a network, and the caches that its backward pass needs."""

    outputs: ndarray  # (B, T, D·H), or (B, T, O) with a readout
    caches: list[Any]  # one a layer


def forward(
    layer: AnyLayer,
    weights: Mapping[str, ndarray],
    inputs: ndarray,
    initial_state: Mapping[str, ndarray],
    activation: Activation,
    **more: Any,
) -> ForwardPass:
    """Run the network.

    Args:
        layer: The layer of each level, such as ``rnn_split``.
        weights: ``layerN.<weight>`` for each layer and weight, and for a readout ``readout.W_hy`` (D·H, O) and
            ``readout.b_y`` (O,).
        inputs: (B, T, I).
        initial_state: ``layerN.<state>`` (B, H) for each layer and state, such as ``layer0.h0``.
        activation: φ, one of ``ACTIVATIONS``.
        more: Other arguments of the layers' ``forward`` by name, such as ``gate_activation``.

    Returns:
        The outputs, (B, T, D·H) or (B, T, O), with the caches.

    Raises:
        KeyError: If a layer's weight or state is missing.
    """
    x = inputs.swapaxes(0, 1).copy()  # (T, B, I)
    caches, names = [], states_of(layer)
    for n in range(-(-len(initial_state) // len(names))):  # rounded up, so that a missing state is an error
        states = [initial_state[f"layer{n}.{name}"] for name in names]  # (B, H) each
        of_layer = {name: weights[f"layer{n}.{name}"] for name in layer.WEIGHTS}
        cache = layer.forward(x, *states, of_layer, activation=activation, **more)
        caches.append(cache)
        x = cache.outputs  # (T, B, D·H)
    if "readout.W_hy" in weights:
        y = readout.forward(x, weights["readout.W_hy"], weights["readout.b_y"])  # (T, B, O)
        x = zero_past(y, lengths_of(layer))  # (T, B, O)
    return ForwardPass(x.swapaxes(0, 1), caches)


def backward(
    layer: AnyLayer,
    weights: Mapping[str, ndarray],
    passed: ForwardPass,
    d_outputs: ndarray,
    truncation: Truncation | None = None,
) -> dict[str, ndarray]:
    """Carry d_outputs back through the readout and all layers.

    Args:
        layer: The layer of the forward pass.
        weights: The weights of the forward pass.
        passed: The forward pass that ``forward`` returned.
        d_outputs: The gradient of the outputs, (B, T, D·H) or (B, T, O).
        truncation: The truncation of the gradient in time; None for the full gradient.

    Returns:
        The gradient of every weight, of ``inputs`` (B, T, I) and of each ``layerN.<state>`` (B, H), by name.

    Raises:
        ValueError: If the gradient is truncated, but the layer does not support that.
    """
    gradients: dict[str, ndarray] = {}
    d_x = zero_past(d_outputs.swapaxes(0, 1), lengths_of(layer))  # (T, B, D·H) or (T, B, O)
    if "readout.W_hy" in weights:
        d_x, of_readout = readout.backward(passed.caches[-1].outputs, weights["readout.W_hy"], d_x)  # (T, B, D·H)
        gradients |= {f"readout.{name}": gradient for name, gradient in of_readout.items()}
    if isinstance(truncation, Window) and hasattr(layer, "lag"):
        return gradients | _named(layer, _by_lags(layer, passed.caches, d_x, truncation))
    for each in passes(truncation, len(d_x)):
        of_counted = d_x if each.counted.all() else np.where(each.counted[:, None, None], d_x, 0)  # (T, B, D·H)
        of_pass = _named(layer, _in_one_pass(layer, passed.caches, of_counted, each.starts))
        gradients |= {name: gradients[name] + part if name in gradients else part for name, part in of_pass.items()}
    return gradients


def _in_one_pass(layer: AnyLayer, caches: list[Any], d_top: ndarray, starts: frozenset[int]) -> list[tuple[Any, ...]]:
    """Return the result of each layer's ``backward``, from the top layer's g, (T, B, D·H)."""
    of_layers, d_x = [], d_top  # d_x: (T, B, D·H)
    for cache in reversed(caches):
        of_layers.append(layer.backward(cache, d_x, starts) if starts else layer.backward(cache, d_x))
        d_x = of_layers[-1][0]  # (T, B, I) or, above layer 0, (T, B, D·H)
    return of_layers[::-1]


def _by_lags(layer: Any, caches: list[Any], d_top: ndarray, window: Window) -> list[tuple[Any, ...]]:
    """Return the result of each layer's ``backward`` for a window, from the top layer's g, (T, B, H)."""
    T = len(d_top)
    slopes = [layer.slopes(cache) for cache in caches]  # (T, B, H) each
    totals = [np.zeros_like(slope) for slope in slopes]  # (T, B, H) each: the sum of the lags
    carried: list[ndarray | None] = [None for _ in caches]  # (T - d, B, H) each
    for d in range(window.lags(T)):
        g = d_top if d == 0 else None  # (T - d, B, H)
        for n in reversed(range(len(caches))):
            newest = layer.lag(caches[n], slopes[n], g, carried[n])  # (T - d, B, H)
            totals[n][: T - d] += newest
            carried[n] = newest
            if n > 0:
                g = layer.to_inputs(caches[n], slopes[n], newest)  # (T - d, B, H)
    return [layer.read_off(cache, total) for cache, total in zip(caches, totals, strict=True)]


def _named(layer: AnyLayer, of_layers: list[tuple[Any, ...]]) -> dict[str, ndarray]:
    """Return the gradients by name from the results of each layer's ``backward``."""
    found = {"inputs": of_layers[0][0].swapaxes(0, 1)}  # (B, T, I)
    for n, (_, *d_states, of_weights) in enumerate(of_layers):
        found |= {f"layer{n}.{name}": gradient for name, gradient in of_weights.items()}
        found |= {f"layer{n}.{name}": d_state for name, d_state in zip(states_of(layer), d_states, strict=True)}
    return found
