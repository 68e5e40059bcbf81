"""A user's files, and the command that checks them."""

import json
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest

from harness.cli import main

CASE = """\
about: One layer, nothing hidden.
sizes: {batch: 2, time: 4, input: 3, hidden: 5}
weights: {uniform: [-0.9, 0.9], seed: 1}
inputs: {normal: 1.0, seed: 2}
initial_state: {normal: 0.5, seed: 3}
loss: {kind: dot}
upstream: {normal: 1.0, seed: 4}
"""

RIGHT = """\
import numpy as np
import harness


def right(problem):
    w = {name.removeprefix("layer0."): array for name, array in problem.weights.items()}
    x, h = problem.inputs, [problem.initial_state["layer0.h0"]]
    for t in range(x.shape[1]):
        h.append(np.tanh(x[:, t] @ w["W_xh"] + h[-1] @ w["W_hh"] + w["b_h"]))
    outputs = np.stack(h[1:], axis=1)
    loss, d_outputs = problem.loss(outputs)
    grads = {f"layer0.{name}": np.zeros_like(array) for name, array in w.items()}
    d_h = np.zeros_like(h[0])
    for t in reversed(range(x.shape[1])):
        d_a = (d_outputs[:, t] + d_h) * (1 - h[t + 1] ** 2)
        grads["layer0.W_xh"] += x[:, t].T @ d_a
        grads["layer0.W_hh"] += h[t].T @ d_a
        grads["layer0.b_h"] += d_a.sum(axis=0)
        d_h = d_a @ w["W_hh"].T
    return {"loss": loss, "outputs": outputs, **grads, "layer0.h0": d_h}


"""


@dataclass
class Checked:
    """The outcome of a ``harness check``."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def workplace(tmp_path):
    """A folder with one case of one layer in ``cases/small.yaml``."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "small.yaml").write_text(CASE)
    return tmp_path


@pytest.fixture
def check(workplace, monkeypatch, capsys):
    """Write a file, ``RIGHT`` and what is given, and check it. The command runs here, the file in its process."""

    def run(source, *arguments, file="my_rnn.py", function="", alone=False):
        (workplace / file).write_text(("" if alone else RIGHT) + textwrap.dedent(source))
        return called("check", file + function, *arguments)

    def called(*arguments):
        monkeypatch.chdir(workplace)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        return Checked(ended.value.code, captured.out, captured.err)

    run.command = called
    run.lines = RIGHT.count("\n")
    return run


@pytest.fixture
def sweep(workplace):
    """Make the case a sweep."""

    def make(text):
        (workplace / "cases" / "small.yaml").write_text(f"{CASE}sweep: {text}\n")

    return make
