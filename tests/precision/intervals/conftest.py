"""Problems for ball arithmetic, made without a framework."""

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.problem import build

NUMBERS = {"normal": 0.9, "seed": 5}


@pytest.fixture
def problem_of():
    def make(*, loss="squared_error", reduction="sum", steps="all", readout=False, sizes=(2, 3, 4, 5), **fields):
        B, T, I, H = sizes
        width = 3 if readout else H
        given = {"weights": {"uniform": (-0.9, 0.9), "seed": 4}, "inputs": NUMBERS, "initial_state": NUMBERS, **fields}
        targets = {"uniform": (0, width), "seed": 6} if loss == "softmax_cross_entropy" else NUMBERS
        given.setdefault("upstream" if loss == "dot" else "targets", targets)
        case = ValidCase(
            name="balls",
            file="balls",
            sizes=Sizes(B, T, I, H, width if readout else None),
            readout="linear" if readout else "none",
            loss=Loss(loss, steps, reduction),
            **given,
        )
        return build(case, None)

    return make


@pytest.fixture
def off_by():
    """The largest |balls − expected| of a tensor, relative to its largest |expected|."""

    def relative(balls, expected):
        expected = np.asarray(expected, np.longdouble)
        high = np.array([float(ball) for ball in balls.reshape(-1)])
        low = np.array([float(ball - part) for ball, part in zip(balls.reshape(-1), high.tolist(), strict=True)])
        found = high.astype(np.longdouble) + low
        assert balls.shape == expected.shape
        return float(np.abs(found.reshape(expected.shape) - expected).max() / np.abs(expected).max())

    return relative
