r"""Where relu has no derivative: pre-activations at its kink, and the gradient for any slope taken there.

relu(a) has the slope 1 above zero and 0 below. At zero any slope from 0 to 1 is as right as any other (a subgradient),
and frameworks differ: torch.relu takes 0, torch.maximum ½, torch.clamp 1. Where a is zero but for rounding, two right
implementations may find it on different sides. A pre-activation counts as at the kink if

    |a| ≤ n · eps · (|x| |W_xh| + |h| |W_hh| + |b_h|),        n = I + H + 1

the bound of the rounding error of a sum of n products (Higham 2002, section 3.1). Exact zeros are among them.
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
    """One run of a layer's cell over steps: in one direction, of sequences that are equally long."""

    block: str  # layer0, or layer0.reverse
    sequences: ndarray | None  # (B,): which of the batch; None for all
    cache: rnn_split.Cache  # of T steps, in the order in which they were run

    def place(self, t: int, b: int) -> tuple[int, int]:
        """Return the step and the sequence, as the case counts them, of the recursion's step t and sequence b."""
        step = len(self.cache.pre) - 1 - t if self.block.endswith(".reverse") else t
        return step, b if self.sequences is None else int(self.sequences[b])


def recursions(passed: ForwardPass) -> list[Recursion]:
    """Return every recursion of a forward pass, layer by layer; one a layer, unless it is made out of several."""
    return [each for n, cache in enumerate(passed.caches) for each in _recursions(cache, f"layer{n}", None)]


def _recursions(cache: Any, block: str, sequences: ndarray | None) -> Iterator[Recursion]:
    match cache:
        case lengths.Cache():
            for which, of_group in cache.groups:
                yield from _recursions(of_group, block, which)
        case bidirectional.Cache():
            yield from _recursions(cache.forth, block, sequences)
            yield from _recursions(cache.back, f"{block}.reverse", sequences)
        case _:
            yield Recursion(block, sequences, cache)


def at_kink(passed: ForwardPass, weights: Mapping[str, ndarray]) -> list[ndarray]:
    """Return which pre-activations are at the kink, within rounding: for each recursion (T, B, H) of bool.

    Args:
        passed: the forward pass of split weights with relu.
        weights: those weights.
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

    def taking(cache: rnn_split.Cache, own: ndarray) -> rnn_split.Cache:
        activation = Activation(cache.activation.value, lambda h: own.astype(h.dtype))  # a copy: backward overwrites it
        return cache._replace(activation=activation)

    taken = iter([taking(each.cache, own) for each, own in zip(recursions(passed), slopes, strict=True)])
    return passed._replace(caches=[_with_recursions(cache, taken) for cache in passed.caches])


def _with_recursions(cache: Any, taken: Iterator[rnn_split.Cache]) -> Any:
    """Return a layer's cache with the next ones of ``taken`` for those of its recursions."""
    match cache:
        case lengths.Cache():
            return cache._replace(groups=[(which, _with_recursions(each, taken)) for which, each in cache.groups])
        case bidirectional.Cache():
            forth = _with_recursions(cache.forth, taken)
            return cache._replace(forth=forth, back=_with_recursions(cache.back, taken))
        case _:
            return next(taken)
