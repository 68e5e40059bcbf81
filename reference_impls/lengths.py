"""Sequences of unequal length in one batch: past a sequence's end its outputs are zero, and its state is kept.

The sequences of a batch are independent. Those of equal length therefore form a batch of their own: for each length L,
the layer runs over x[:L] of the sequences of that length. Nothing is computed past an end, so numbers there have no
effect, even NaN, and no mask is needed. A bidirectional layer reads backward in time from each sequence's own end.

    y_t = the layer's outputs for t ≤ L, 0 for t > L        (B, D·H)

The outputs of a readout are also zero there, and not its bias (``zero_past``).

Backward. The gradient of a constant is zero, so d_outputs past an end is dropped and dx is zero there. All groups share
the weights, so their gradients add up. The cuts of a truncated gradient (``truncation``) are counted from the first
step, in every sequence.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.layer import AnyLayer, Layer, states_of


class LengthsCache(NamedTuple):
    """The values of the forward pass that the backward pass needs."""

    groups: list[tuple[ndarray, Any]]  # the sequences, (their number,), and the layer's cache for them
    outputs: ndarray  # (T, B, D·H)
    inputs_shape: tuple[int, ...]  # (T, B, I)

    @property
    def last(self) -> tuple[ndarray, ...]:
        """The states after each sequence's last step: (B, H) each."""
        order = np.argsort(np.concatenate([which for which, _ in self.groups]))  # (B,)
        by_group = zip(*(cache.last for _, cache in self.groups), strict=True)
        return tuple(np.concatenate(parts)[order] for parts in by_group)


def of_lengths(layer: AnyLayer, lengths: ndarray) -> Layer:
    """Make a layer that ends each sequence at its own length.

    Args:
        layer: The layer that runs over each group of sequences; its weights and states do not change.
        lengths: (B,) of integers from 1 to T.

    Returns:
        A layer; its ``forward`` raises a ValueError if the lengths do not fit the inputs.
    """
    lengths, names = np.asarray(lengths), states_of(layer)

    def forward(x: ndarray, *given: Any, **more: Any) -> LengthsCache:
        T, B, _ = x.shape
        if lengths.shape != (B,) or lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > T:
            raise ValueError(f"lengths must be {B} integers from 1 to {T}, one a sequence; they are {lengths.tolist()}")
        *states, weights = given
        groups = []
        for L in np.unique(lengths):
            which = np.flatnonzero(lengths == L)  # (those of length L,)
            of_group = [state[which] for state in states]  # (those of length L, H) each
            groups.append((which, layer.forward(x[:L, which], *of_group, weights, **more)))
        first = groups[0][1].outputs
        outputs = np.zeros((T, B, first.shape[2]), first.dtype)  # (T, B, D·H)
        for which, cache in groups:
            outputs[: len(cache.outputs), which] = cache.outputs
        return LengthsCache(groups, outputs, x.shape)

    def backward(cache: LengthsCache, d_outputs: ndarray, *starts: Container[int]) -> tuple[Any, ...]:
        B = d_outputs.shape[1]
        H = cache.groups[0][1].last[0].shape[1]  # not the width of d_outputs, which is 2H in a bidirectional layer
        d_x = np.zeros(cache.inputs_shape, d_outputs.dtype)  # (T, B, I)
        d_states = [np.zeros((B, H), d_outputs.dtype) for _ in names]  # (B, H) each
        gradients: dict[str, ndarray] = {}
        for which, of_group in cache.groups:
            L = len(of_group.outputs)
            d_x[:L, which], *d_group, weights = layer.backward(of_group, d_outputs[:L, which], *starts)
            for d_state, part in zip(d_states, d_group, strict=True):
                d_state[which] = part
            for name, gradient in weights.items():
                gradients[name] = gradients[name] + gradient if name in gradients else gradient
        return (d_x, *d_states, gradients)

    return Layer(tuple(layer.WEIGHTS), names, forward, backward, lengths)


def zero_past(tensor: ndarray, lengths: ndarray | None) -> ndarray:
    """Return a tensor (T, B, …) with zeros past each sequence's end; itself if there are no lengths (B,)."""
    if lengths is None:
        return tensor
    there = np.arange(len(tensor))[:, None] < lengths  # (T, B)
    return np.where(there.reshape(*there.shape, *(1,) * (tensor.ndim - 2)), tensor, 0)
