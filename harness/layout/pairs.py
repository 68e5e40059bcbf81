"""Two biases that are only ever added: one bias as a pair, and the pair's two gradients as one.

One bias b becomes a pair whose sum is b to the bit. Any such pair would do, but (b, 0) would hide a fault that forgets
the second bias or adds the first one twice. The pair is therefore (2b, −b).

Backwards, the chain rule through b ↦ (2b, −b) makes the canonical gradient 2·d_first − d_second: it is right when both
are right, and wrong when one of them is. Two wrong ones may make a right one, as half of it and 0 do. So an answer
whose two gradients are not equal, as they are in every right one, has a mistake of its own (``difference``). Where one
of the two is not returned, the other stands for both, and the comparison lists the missing one as not provided.

A gru whose reset is after the product adds its two biases in the gates r and z only. The candidate's two are kept
apart: the first is the last third of ``b_h``, the second is ``b_hn``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Layout, Tensors
from harness.tensors import Structure


class TwoBiasesLayout(Layout):
    """A layout with such a pair of biases: weights and gradients convert alike, but for the pair."""

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return self._from_canonical(weights, structure, two_biases)

    @override
    def gradients_from_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        return self._from_canonical(gradients, structure, two_gradients)

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return self._to_canonical(weights, structure, one_bias)

    @override
    def gradients_to_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        return self._to_canonical(gradients, structure, one_gradient)

    @abstractmethod
    def _from_canonical(self, tensors: Tensors, structure: Structure, two: Any) -> dict[str, ndarray]:
        """Convert a complete set, with ``two_biases`` or ``two_gradients``."""

    @abstractmethod
    def _to_canonical(self, tensors: Tensors, structure: Structure, one: Any) -> dict[str, ndarray]:
        """Convert back the tensors that are given, with ``one_bias`` or ``one_gradient``."""


def two_biases(bias: ndarray, recurrent: ndarray | None = None) -> tuple[ndarray, ndarray]:
    """Return a pair of biases whose sum is ``bias`` to the bit: (2b, −b); (b, −0) where 2b overflows or b is ±0.

    Args:
        bias: ``b_h``, (G·H,).
        recurrent: ``b_hn``, (H,), if the network has one. It becomes the last H elements of the second bias, and the
            last H elements of ``bias`` become those of the first.

    Returns:
        (G·H,), (G·H,).
    """
    if recurrent is not None:
        added = len(bias) - len(recurrent)
        first, second = two_biases(bias[:added])
        return np.concatenate([first, bias[added:]]), np.concatenate([second, recurrent])
    with np.errstate(over="ignore"):
        doubled = bias + bias
    splits = np.isfinite(doubled) & (bias != 0) if bias.dtype.kind == "f" else np.zeros(bias.shape, bool)
    return np.where(splits, doubled, bias), np.where(splits, -bias, -np.zeros_like(bias))


def one_bias(first: ndarray | None, second: ndarray | None, recurrent: bool) -> tuple[ndarray | None, ndarray | None]:
    """Return ``b_h`` (G·H,) of a pair of biases and, if ``recurrent``, ``b_hn`` (H,) of a gru's pair, (3H,) each.

    Both are None if one of the pair is not known.
    """
    if first is None or second is None:
        return None, None
    if not recurrent:
        return first + second, None
    added = 2 * len(first) // 3
    return np.concatenate([first[:added] + second[:added], first[added:]]), second[added:]


def two_gradients(gradient: ndarray, recurrent: ndarray | None = None) -> tuple[ndarray, ndarray]:
    """Return the gradients by the two biases: each is the whole gradient, except in the candidate's two biases."""
    if recurrent is None:
        return gradient, gradient
    return gradient, np.concatenate([gradient[: len(gradient) - len(recurrent)], recurrent])


def one_gradient(
    of_first: ndarray | None, of_second: ndarray | None, recurrent: bool = False
) -> tuple[ndarray | None, ndarray | None]:
    """Return the gradients by ``b_h`` (G·H,) and, if ``recurrent``, by ``b_hn`` (H,); None for one not known.

    Args:
        of_first: The gradient by the first bias of the pair, (G·H,); None if it is not known.
        of_second: The gradient by the second one, in the same way.
        recurrent: True if the last third of the second bias is ``b_hn``.
    """
    if not recurrent:
        known = [each for each in (of_first, of_second) if each is not None]
        return (_joined(known[0], known[-1]) if known else None), None
    of_recurrent = None if of_second is None else of_second[2 * len(of_second) // 3 :]
    if of_first is None or of_second is None:
        return of_first, of_recurrent
    added = 2 * len(of_first) // 3
    return np.concatenate([_joined(of_first[:added], of_second[:added]), of_first[added:]]), of_recurrent


def difference(of_first: ndarray, of_second: ndarray, names: tuple[str, str], recurrent: bool = False) -> str:
    """Describe the difference of the gradients by two biases that are only ever added; empty if it may be rounding.

    Args:
        of_first: The gradient by the first bias of the pair, (G·H,).
        of_second: The gradient by the second one, (G·H,).
        names: The names of the two.
        recurrent: True if the last third of the second bias is ``b_hn``, which has a gradient of its own.
    """
    added = 2 * len(of_first) // 3 if recurrent else len(of_first)
    one, other = of_first[:added], of_second[:added]
    if not _are_apart(one, other):
        return ""
    apart = np.abs(one - other)
    at = int(np.argmax(np.where(np.isfinite(apart), apart, 0)))
    return (
        f"{names[0]} and {names[1]} are only ever added, so that their gradients are equal; these are {one[at]} and "
        f"{other[at]} at [{at}]"
    )


def with_the_first(of_first: ndarray, of_second: ndarray, recurrent: bool = False) -> ndarray:
    """Return the gradient by the second bias that follows from that by the first one, (G·H,)."""
    added = 2 * len(of_first) // 3 if recurrent else len(of_first)
    return np.concatenate([of_first[:added], of_second[added:]])


def _are_apart(one: ndarray, other: ndarray) -> bool:
    """Return whether two gradients differ by half of their digits or more: no order of summation explains that."""
    if one.dtype.kind != "f" or other.dtype.kind != "f" or not one.size:
        return False
    finite = np.isfinite(one) & np.isfinite(other)
    largest = max(np.abs(each[finite]).max(initial=0.0) for each in (one, other))
    eps = max(np.finfo(each.dtype).eps for each in (one, other))
    with np.errstate(over="ignore"):
        return bool((np.abs(one[finite] - other[finite]) > np.sqrt(eps) * largest).any())


def _joined(of_first: ndarray, of_second: ndarray) -> ndarray:
    """Return the gradient by b, 2·first − second, from the gradients by the biases 2b and −b."""
    with np.errstate(invalid="ignore", over="ignore"):  # inf − inf where the two agree; that difference is not used
        return np.where(of_first == of_second, of_first, of_first + (of_first - of_second))
