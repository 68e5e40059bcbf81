"""Problems that hide little, and what an implementation with a fault would answer to them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.diagnosis import Predictions
from harness.diagnosis.committing import right, with_faults
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build

SQUARED_ERROR = ValidCase(
    name="two layers, squared error over some steps",
    file="none",
    layers=2,
    sizes=Sizes(batch=3, time=5, input=2, hidden=6, output=4),
    weights={"uniform": (-0.9, 0.9), "seed": 1},
    inputs={"normal": 1.0, "seed": 2},
    initial_state={"normal": 0.7, "seed": 3},
    readout="linear",
    loss=Loss("squared_error", (1, 3, 4)),
    targets={"normal": 1.0, "seed": 4},
)
SOFTMAX = replace(
    SQUARED_ERROR,
    name="one layer of sigmoids, softmax cross-entropy",
    activation="sigmoid",
    layers=1,
    loss=Loss("softmax_cross_entropy", "all", "mean"),
    targets={"uniform": (0.0, 4.0), "seed": 4},
)
SQUARE = replace(
    SQUARED_ERROR,
    name="relu, every matrix square, as many steps as units",
    activation="relu",
    sizes=Sizes(batch=2, time=4, input=4, hidden=4, output=4),
    loss=Loss("squared_error", "all", "mean"),
)
DOT = replace(
    SQUARED_ERROR,
    name="one tanh layer, a random upstream gradient",
    layers=1,
    sizes=Sizes(batch=2, time=7, input=3, hidden=5),
    readout="none",
    loss=Loss("dot"),
    targets=None,
    upstream={"normal": 1.0, "seed": 5},
)
DETACHED = replace(
    SQUARED_ERROR,
    name="two layers, detached every three of eight steps",
    sizes=Sizes(batch=3, time=8, input=2, hidden=4, output=3),
    loss=Loss("squared_error"),
    truncation={"kind": "detach", "every": 3},
)
WINDOWED = replace(
    DETACHED,
    name="two layers, a window of two steps, a random upstream gradient at each step",
    sizes=Sizes(batch=3, time=6, input=2, hidden=4),
    readout="none",
    loss=Loss("dot"),
    targets=None,
    upstream={"normal": 1.0, "seed": 5},
    truncation={"kind": "window", "steps": 2},
)
BIDIRECTIONAL = replace(
    SQUARED_ERROR, name="two layers in both directions, squared error over some steps", bidirectional=True
)
UNEQUAL = replace(
    BIDIRECTIONAL,
    name="an lstm in both directions over unequal lengths, a mean over some steps",
    cell="lstm",
    layers=1,
    lengths=(3, 5, 1),
    loss=Loss("squared_error", (0, 1, -1), "mean"),
)
UNEQUAL_SOFTMAX = replace(
    SOFTMAX, name="one layer of sigmoids over unequal lengths, softmax cross-entropy", lengths=(3, 5, 1)
)
LSTM = replace(
    SQUARED_ERROR,
    name="two layers of lstm, squared error over some steps",
    cell="lstm",
    sizes=Sizes(batch=3, time=4, input=2, hidden=5, output=4),
    loss=Loss("squared_error", (1, 3)),
)
GRU_AFTER = replace(
    DOT,
    name="one layer of gru, the reset after the product",
    cell="gru",
    sizes=Sizes(batch=2, time=5, input=3, hidden=4),
)
GRU_BEFORE = replace(
    GRU_AFTER,
    name="one layer of gru, the reset before the product",
    reset="before",
)
LSTM_DETACHED = replace(
    GRU_AFTER,
    name="one layer of lstm, detached every two steps",
    cell="lstm",
    truncation={"kind": "detach", "every": 2},
)
TOKENS = replace(
    DOT,
    name="one tanh layer over tokens that come again",
    sizes=Sizes(batch=2, time=6, input=4, hidden=5),
    inputs={"one_hot": ((0, 1, 0, 2, 3, 3), (2, 2, 0, 1, 3, 0))},
)
CASES = {
    "squared-error": SQUARED_ERROR,
    "softmax": SOFTMAX,
    "square": SQUARE,
    "dot": DOT,
    "tokens": TOKENS,
    "detached": DETACHED,
    "windowed": WINDOWED,
    "lstm": LSTM,
    "lstm-detached": LSTM_DETACHED,
    "gru-after": GRU_AFTER,
    "gru-before": GRU_BEFORE,
}
"""Cases of layers that are taken apart."""

WRAPPED = {"bidirectional": BIDIRECTIONAL, "unequal": UNEQUAL, "unequal-softmax": UNEQUAL_SOFTMAX}
"""Cases of whole layers, for faults around them."""
GATED = ("lstm", "lstm-detached", "gru-after", "gru-before")
"""Cases with three times as many ways to be wrong: tests draw some of these ways, and take all ways of other cases."""


def no_weights(*_):
    raise AssertionError("no framework's weights are asked for")


@cache
def problem_of(name, dtype="float64"):
    return build(replace({**CASES, **WRAPPED}[name], dtype=dtype), no_weights)


_PREPARED = {}


def predictions_of(name, dtype="float64"):
    """Predictions of a problem, shared by all tests: they do not change but for what they have computed."""
    if (name, dtype) not in _PREPARED:
        problem = problem_of(name, dtype)
        _PREPARED[name, dtype] = Predictions(problem, rounding_noise(problem))
    return _PREPARED[name, dtype]


def committed(problem, *suspects):
    """Return the answer of an implementation with these faults, in the dtype of the case."""
    true = right(problem)
    true.tensors()
    with np.errstate(all="ignore"):
        answer = with_faults(true, suspects)
    return {name: np.array(tensor, problem.case.dtype) for name, tensor in answer.items()}


@pytest.fixture(autouse=True)
def _overflow_is_a_fault_of_its_own():
    with np.errstate(over="ignore", invalid="ignore"):
        yield
