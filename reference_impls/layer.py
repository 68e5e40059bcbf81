"""What a layer is, whichever cell it has: the four things that stacking layers needs to know of one.

    WEIGHTS     the names of its weights, in the order in which ``forward`` takes them
    STATES      the names of its initial states, in the order in which ``forward`` takes them: h0, and for an lstm c0
    forward     forward(x, *states, *weights, activation=…) → cache, whose ``outputs`` are what the layer above reads,
                and whose ``last`` are the states after the last step, in the order of STATES
    backward    backward(cache, d_outputs) → d_x, one gradient for each state, and the gradients of the weights by name;
                backward(cache, d_outputs, starts) where the gradient is truncated: the steps in ``starts`` take the
                states before them for constants

A module with these four names at its top is a layer (``rnn_split``, ``lstm_split``). A layer that exists in variants,
or is made out of another one, is a ``Layer`` (``gru_split.RESETS``,
``bidirectional.both_ways``, ``lengths.of_lengths``). A layer may be able to carry a window by lag (``rnn_split.lag``);
all others do it in passes (``truncation``).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from numpy import ndarray


class Layer(NamedTuple):
    """A layer that is no module of its own."""

    WEIGHTS: tuple[str, ...]
    STATES: tuple[str, ...]
    forward: Callable[..., Any]
    backward: Callable[..., tuple[Any, ...]]
    lengths: ndarray | None = None  # (B,): past so many steps a sequence's outputs are zero; None if all go to the end


AnyLayer = ModuleType | Layer


def states_of(layer: AnyLayer) -> tuple[str, ...]:
    """Return the names of a layer's initial states; a layer that does not say has h0 alone."""
    return tuple(getattr(layer, "STATES", ("h0",)))


def lengths_of(layer: AnyLayer) -> ndarray | None:
    """Return how many steps of each sequence a layer runs over, (B,); None if all of them."""
    lengths: ndarray | None = getattr(layer, "lengths", None)
    return lengths
