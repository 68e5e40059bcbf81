"""Random trainings, small ones of every kind."""

import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.problem import build


def random_case(random, number, **fixed):
    def choose(*options):
        return options[random.integers(len(options))]

    def maybe(**field):
        return field if random.integers(2) else {}

    kind, readout, seed = choose("squared_error", "softmax_cross_entropy"), choose("none", "linear"), number
    batch, per_step = choose((2, 1), (3, 1), (4, 2), (3, 3), (1, 1))
    time, hidden, output = choose(1, 2, 5), int(random.integers(2, 7)), int(random.integers(2, 6))
    cell, optimizer = choose("rnn", "rnn", "lstm", "gru"), choose("sgd", "adam")
    rate = float(10 ** random.uniform(-3, -1) if optimizer == "adam" else 10 ** random.uniform(-3, -1.5))
    fields = {
        "cell": cell,
        "reset": choose("after", "before") if cell == "gru" else None,
        "activation": choose("tanh", "sigmoid") if cell == "rnn" else "tanh",
        "layers": int(random.integers(1, 3)),
        "sizes": Sizes(batch, time, int(random.integers(1, 5)), hidden, output if readout == "linear" else None),
        "readout": readout,
        "dtype": choose("float32", "float64"),
        "weights": {"uniform": (-0.8, 0.8), "seed": seed},
        "inputs": {"normal": 1.0, "seed": seed},
        "initial_state": {"normal": 0.5, "seed": seed},
        "loss": Loss(kind, "all", choose("sum", "mean")),
        "targets": {"uniform": (0, output if readout == "linear" else hidden), "seed": seed},
        "truncation": choose("none", "none", {"kind": "detach", "every": 2}, {"kind": "window", "steps": 1}),
        "training": {
            "steps": int(random.integers(3, 15)),
            "optimizer": {optimizer: {"lr": rate}},
            **({"batch": per_step} if per_step < batch else {}),
            **maybe(carry_state=True),
            **maybe(clip_value=float(10 ** random.uniform(-1.5, 0))),
            **maybe(clip_norm=float(10 ** random.uniform(-1, 1))),
            **maybe(halve_lr_when_loss_rises=True),
            **maybe(frozen=["layer0.b_h"]),
        },
    }
    return ValidCase(name=f"random{number}", file="random", **{**fields, **fixed})


@pytest.fixture
def problem_of():
    """Make a training problem: a tanh layer with a readout by default."""

    def make(training, **fields):
        numbers = {"normal": 0.6, "seed": 3}
        given = {
            "sizes": Sizes(2, 4, 3, 5, 6),
            "readout": "linear",
            "weights": {"uniform": (-0.7, 0.7), "seed": 1},
            "inputs": numbers,
            "initial_state": numbers,
            "targets": numbers,
        }
        training = {"steps": 6, "optimizer": {"sgd": {"lr": 0.02}}, **training}
        return build(ValidCase(name="trained", file="none", training=training, **{**given, **fields}), None)

    return make
