r"""Pre-activations at relu's kink, where it has no derivative, and the gradient for any slope at these.

relu(a) has the slope 1 above zero and 0 below. At zero any slope from 0 to 1 is right (a subgradient), and frameworks
differ: torch.relu takes 0, torch.maximum ½, torch.clamp 1. If a is zero except for rounding, two right implementations
may place it on different sides. A pre-activation counts as at the kink if

    |a| ≤ n · eps · (|x| |W_xh| + |h| |W_hh| + |b_h|),        n = I + H + 1

the bound of the rounding error of a sum of n products (Higham 2002, section 3.1). Exact zeros count, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls import bidirectional, lengths, rnn_split
from reference_impls.activations import Activation

if TYPE_CHECKING:
    from reference_impls.network import ForwardPass

Slopes = Sequence[ndarray]
"""φ'(a) of each recursion, (T, B, H)."""


class Recursion(NamedTuple):
    """One run of a layer's cell over steps, in one direction and over sequences of equal length."""

    block: str  # layer0, or layer0.reverse
    sequences: ndarray | None  # (B,): positions in the batch; None for all
    cache: rnn_split.RnnSplitCache  # T steps, in the order in which they were run

    def place(self, t: int, b: int) -> tuple[int, int]:
        """Return the case's step and sequence for the recursion's step t and sequence b."""
        step = len(self.cache.pre) - 1 - t if self.block.endswith(".reverse") else t
        return step, b if self.sequences is None else int(self.sequences[b])


def recursions(passed: ForwardPass) -> list[Recursion]:
    """Return every recursion of a forward pass, layer by layer; a layer has one unless it is made of several."""
    return [each for n, cache in enumerate(passed.caches) for each in _recursions(cache, f"layer{n}", None)]


def _recursions(cache: Any, block: str, sequences: ndarray | None) -> Iterator[Recursion]:
    match cache:
        case lengths.LengthsCache():
            for which, of_group in cache.groups:
                yield from _recursions(of_group, block, which)
        case bidirectional.BidirectionalCache():
            yield from _recursions(cache.forth, block, sequences)
            yield from _recursions(cache.back, f"{block}.reverse", sequences)
        case _:
            yield Recursion(block, sequences, cache)


def at_kink(passed: ForwardPass, weights: Mapping[str, ndarray]) -> list[ndarray]:
    """Return the pre-activations that are at the kink within rounding: for each recursion, (T, B, H) of bool.

    Args:
        passed: The forward pass of split weights with relu.
        weights: Those weights.
    """
    found = []
    for block, _, cache in recursions(passed):
        (_, _, I), H = cache.x.shape, cache.W_hh.shape[0]
        terms = np.abs(cache.x) @ np.abs(cache.W_xh) + np.abs(cache.states[:-1]) @ np.abs(cache.W_hh)  # (T, B, H)
        terms += np.abs(weights[f"{block}.b_h"])
        found.append(np.abs(cache.pre) <= (I + H + 1) * np.finfo(cache.pre.dtype).eps * terms)
    return found


def slopes_by_sign(passed: ForwardPass) -> list[ndarray]:
    """Return the slopes that the reference takes, 1 above zero and 0 elsewhere: for each recursion (T, B, H)."""
    return [(cache.pre > 0).astype(cache.pre.dtype) for _, _, cache in recursions(passed)]


def with_slopes(passed: ForwardPass, slopes: Slopes) -> ForwardPass:
    """Return a forward pass whose backward pass takes these slopes instead of the activation's."""

    def taking(cache: rnn_split.RnnSplitCache, own: ndarray) -> rnn_split.RnnSplitCache:
        activation = Activation(
            cache.activation.value, lambda h: own.astype(h.dtype)
        )  # a copy, since backward overwrites it
        return cache._replace(activation=activation)

    taken = iter([taking(each.cache, own) for each, own in zip(recursions(passed), slopes, strict=True)])
    return passed._replace(caches=[_with_recursions(cache, taken) for cache in passed.caches])


def _with_recursions(cache: Any, taken: Iterator[rnn_split.RnnSplitCache]) -> Any:
    """Return a layer's cache in which the next caches of ``taken`` replace those of its recursions."""
    match cache:
        case lengths.LengthsCache():
            return cache._replace(groups=[(which, _with_recursions(each, taken)) for which, each in cache.groups])
        case bidirectional.BidirectionalCache():
            forth = _with_recursions(cache.forth, taken)
            return cache._replace(forth=forth, back=_with_recursions(cache.back, taken))
        case _:
            return next(taken)
