r"""A bidirectional layer: one layer forward in time and one backward, their outputs side by side.

Let F and R be two layers of the same cell with weights and initial states of their own, and let P reverse the order of
the steps (Schuster and Paliwal 1997, "Bidirectional recurrent neural networks"). R reads the sequence from its end,
with its h_0 before the last step, and its outputs are put back in order:

    y = [F(x), P R(P x)]                        (T, B, 2H)

Backward. P only moves numbers, and P twice is the identity: P is its own inverse and its own transpose. With d_y =
[d_F, d_R], and Fᵀ and Rᵀ for the backward passes of the two layers:

    dx = Fᵀ d_F + P Rᵀ P d_R                    (T, B, I)

The two layers share only x, so each has all other gradients for itself.

The names of R's weights and states are those of F with ``reverse.`` before them. A bidirectional layer stacks like any
other; the layer above reads 2H inputs, and both of its directions read both directions below.

For sequences of unequal length, use ``lengths.of_lengths(both_ways(layer), lengths)``, in this order: R then starts at
each sequence's own end, and not in the padding behind it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.layer import AnyLayer, Layer, states_of


class BidirectionalCache(NamedTuple):
    """The values of the forward pass that the backward pass needs."""

    forth: Any  # F's cache
    back: Any  # R's cache, in R's own order of steps
    outputs: ndarray  # (T, B, 2H)

    @property
    def last(self) -> tuple[ndarray, ...]:
        """F's states after the last step, then R's states after the first step: (B, H) each."""
        return (*self.forth.last, *self.back.last)


def both_ways(layer: AnyLayer) -> Layer:
    """Return the bidirectional layer of a layer; it takes F's states and then R's."""
    states, weights = states_of(layer), tuple(layer.WEIGHTS)

    def forward(x: ndarray, *given: Any, **more: Any) -> BidirectionalCache:
        *of_states, of_both = given
        of_forth, of_back = ({name: of_both[prefix + name] for name in weights} for prefix in ("", "reverse."))
        forth = layer.forward(x, *of_states[: len(states)], of_forth, **more)
        back = layer.forward(x[::-1], *of_states[len(states) :], of_back, **more)
        outputs = np.concatenate([forth.outputs, back.outputs[::-1]], axis=-1)  # (T, B, 2H)
        return BidirectionalCache(forth, back, outputs)

    def backward(cache: BidirectionalCache, d_outputs: ndarray, starts: Container[int] = ()) -> tuple[Any, ...]:
        if starts != ():
            raise ValueError(
                "a bidirectional layer has no truncated gradient: one direction's past is the other's future"
            )
        d_forth, d_back = np.split(d_outputs, 2, axis=-1)  # (T, B, H), (T, B, H)
        d_x, *d_states, gradients = layer.backward(cache.forth, d_forth)
        d_x_back, *d_states_back, of_back = layer.backward(cache.back, d_back[::-1])
        gradients = gradients | {f"reverse.{name}": gradient for name, gradient in of_back.items()}
        return (d_x + d_x_back[::-1], *d_states, *d_states_back, gradients)  # d_x: (T, B, I)

    def both(names: tuple[str, ...]) -> tuple[str, ...]:
        return (*names, *(f"reverse.{name}" for name in names))

    return Layer(both(weights), both(states), forward, backward)
