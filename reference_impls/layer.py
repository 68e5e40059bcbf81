"""The interface of a layer of any cell: four names that stacking layers needs.

    WEIGHTS     the names of its weights
    STATES      the names of its initial states, in the order in which ``forward`` takes them: h0, and for an lstm c0
    forward     forward(x, *states, weights, activation=…) → cache, with the weights by name; its ``outputs`` are the
                input of the layer above, and its ``last`` are the states after the last step, in the order of STATES
    backward    backward(cache, d_outputs) → d_x, one gradient for each state, and the gradients of the weights by name;
                backward(cache, d_outputs, starts) for a truncated gradient: for the steps in ``starts``, the states
                before them are constants

A module with these four names at its top is a layer (``rnn_split``, ``lstm_split``). A layer that has variants, or that
is made of another layer, is a ``Layer`` (``gru_split.RESETS``, ``bidirectional.both_ways``, ``lengths.of_lengths``).
Some layers can carry a window by lag (``rnn_split.lag``); all others carry it in passes (``truncation``).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from numpy import ndarray


class Layer(NamedTuple):
    """A layer that is not a module."""

    WEIGHTS: tuple[str, ...]
    STATES: tuple[str, ...]
    forward: Callable[..., Any]
    backward: Callable[..., tuple[Any, ...]]
    lengths: ndarray | None = None  # (B,): the number of steps after which outputs are zero; None if all have T


AnyLayer = ModuleType | Layer


def states_of(layer: AnyLayer) -> tuple[str, ...]:
    """Return the names of a layer's initial states; h0 alone if the layer does not name them."""
    return tuple(getattr(layer, "STATES", ("h0",)))


def lengths_of(layer: AnyLayer) -> ndarray | None:
    """Return the number of steps of each sequence that a layer runs over, (B,); None for all steps."""
    lengths: ndarray | None = getattr(layer, "lengths", None)
    return lengths
