"""The tolerances that other projects check low precision by, to stand beside the measured ones.

Read in November 2026 from the tests of mamba, flash-linear-attention, mlstm_kernels, flashrnn and torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy import ndarray


@dataclass(frozen=True)
class ForeignRule:
    """A rule for one tensor.

    Attributes:
        accepts: a function from the answer and the right tensor to whether the rule accepts the answer.
        sees: a function from the right tensor to the smallest wrong factor of the whole tensor that the rule refuses in
            an otherwise exact answer, as its distance from 1.
    """

    accepts: Callable[[ndarray, ndarray], bool]
    sees: Callable[[ndarray], float]


def _close(rtol: float, atol: float) -> ForeignRule:
    return ForeignRule(
        lambda g, right: bool((np.abs(g - right) <= atol + rtol * np.abs(right)).all()),
        lambda right: rtol + atol / _largest(right),
    )


def _ratio(most: float) -> ForeignRule:
    return ForeignRule(lambda g, right: _rms(g - right) < most * _rms(right), lambda _: most)


def _either(largest: float, ratio: float) -> ForeignRule:
    return ForeignRule(
        lambda g, right: float(np.abs(g - right).max(initial=0.0)) <= largest or _rms(g - right) < ratio * _rms(right),
        lambda right: max(largest / _largest(right), ratio),
    )


def _rms(array: ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array))))


def _largest(array: ndarray) -> float:
    return float(np.abs(array).max(initial=np.finfo(np.float64).tiny))


ELSEWHERE: Mapping[str, ForeignRule] = {
    "torch.testing.assert_close, bfloat16 (1.6e-2, 1e-5)": _close(1.6e-2, 1e-5),
    "mamba (3e-2, 5e-2)": _close(3e-2, 5e-2),
    "mlstm_kernels (5e-2, 0.2)": _close(5e-2, 0.2),
    "flashrnn (0.2, 0.1)": _close(0.2, 0.1),
    "fla, RMS ratio 0.005": _ratio(0.005),
    "fla in CI, 0.3 or RMS ratio 0.01": _either(0.3, 0.01),
}
"""The rules by name; the two numbers are rtol and atol."""
