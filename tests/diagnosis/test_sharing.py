"""Faults of indices and sharing: tokens that come again, one cell for several, means over each step and sequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.case import Loss, Sizes
from harness.diagnosis import Predictions, diagnose
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.problem.reference import solve

from .conftest import DOT, no_weights, predictions_of
from .plain import carried_untransposed, rnn


def overwritten_at_once(tokens, delta, found):
    found[tokens] = delta


def overwritten_by_step(tokens, delta, found):
    for t in reversed(range(tokens.shape[1])):
        found[tokens[:, t]] = delta[:, t]


def added_once_a_step(tokens, delta, found):
    for t in reversed(range(tokens.shape[1])):
        found[tokens[:, t]] += delta[:, t]


@pytest.mark.parametrize("write", [overwritten_at_once, overwritten_by_step, added_once_a_step])
def test_tokens_that_come_again_and_overwrite_are_named(write):
    predictions = predictions_of("tokens")
    layer = predictions.network.layers[0]
    found = np.zeros_like(predictions.truth["layer0.W_xh"])
    write(predictions.problem.inputs.argmax(-1), layer.delta.swapaxes(0, 1), found)
    best = diagnose({**predictions.truth, "layer0.W_xh": found}, predictions)[0]
    assert best.fault == "tokens-overwritten"


def prepared(case):
    problem = build(case, no_weights)
    return Predictions(problem, rounding_noise(problem))


STACK = replace(DOT, name="two layers of one width", layers=2, sizes=Sizes(batch=2, time=5, input=4, hidden=4))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("case", [STACK, replace(STACK, layers=1, bidirectional=True)], ids=["layers", "directions"])
def test_layers_or_directions_that_share_a_cell_are_named(case, cell):
    predictions = prepared(replace(case, cell=cell))
    problem = predictions.problem
    first, other = problem.structure.blocks
    kinds = [name.removeprefix(f"{first}.") for name in problem.weights if name.rpartition(".")[0] == first]
    tied = {**problem.weights, **{f"{other}.{kind}": problem.weights[f"{first}.{kind}"] for kind in kinds}}
    answer = dict(solve(replace(problem, weights=tied)))
    for kind in kinds:
        answer[f"{first}.{kind}"] = answer[f"{first}.{kind}"] + answer[f"{other}.{kind}"]
        answer[f"{other}.{kind}"] = np.zeros_like(answer[f"{other}.{kind}"])
    best = diagnose(answer, predictions)[0]
    assert best.fault == "one-cell-for-all"


PADDED = replace(
    DOT,
    name="one tanh layer over unequal lengths",
    sizes=Sizes(batch=3, time=5, input=3, hidden=4, output=3),
    lengths=(5, 2, 4),
    readout="linear",
    loss=Loss("softmax_cross_entropy", "all", "mean"),
    targets={"uniform": (0.0, 3.0), "seed": 4},
    upstream=None,
)
MEANS = {
    "each sequence": (
        lambda there: there / there.sum(1, keepdims=True) / len(there),
        "mean over the sequences of each",
    ),
    "each sequence, summed": (lambda there: there / there.sum(1, keepdims=True), "sum over the sequences of each"),
    "each step": (lambda there: there / there.sum(0) / there.shape[1], "mean over the steps of each"),
    "each step, summed": (lambda there: there / there.sum(0), "sum over the steps of each"),
    "every step and sequence": (lambda there: there / there.size, "divides by the steps of all sequences"),
    "time, then a sum": (lambda there: there / there.shape[1], "rows/T = 11/5 times as large"),
}


@pytest.mark.parametrize(("weights", "words"), MEANS.values(), ids=MEANS)
@pytest.mark.parametrize("made", [{}, {"carry": carried_untransposed}], ids=["alone", "beside a fault"])
def test_another_mean_over_padded_sequences_is_named(weights, words, made, monkeypatch):
    predictions = prepared(PADDED)
    problem = predictions.problem

    def loss(self, y):
        p = np.exp(y) / np.exp(y).sum(-1, keepdims=True)
        share, one_hot = weights(self.covered), np.eye(y.shape[-1])[self.targets]
        return np.asarray(-(share * np.log((p * one_hot).sum(-1))).sum()), share[:, :, None] * (p - one_hot)

    monkeypatch.setattr(type(problem), "loss", loss)
    answer = rnn(problem, **made)
    monkeypatch.undo()
    answer["outputs"] = np.where(problem.valid[:, :, None], answer["outputs"], 0)
    del answer["layer0.h0"]
    best = diagnose(answer, predictions)[0]
    assert words in best.explanation
    if not made:
        assert " + " not in best.fault
