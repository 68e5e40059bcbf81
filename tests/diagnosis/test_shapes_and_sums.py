"""Wrong shapes, sums with other weights, and the first wrong numbers."""

from __future__ import annotations

import numpy as np
import pytest

from harness.diagnosis import UNEXPLAINED, diagnose

from .conftest import predictions_of


def layer_of(predictions, n=0):
    layer = predictions.network.layers[n]
    return layer, layer.cache.x, layer.cache.before, layer.delta


def weighted(predictions, weights, along):
    """The gradients of the first layer's weights with a weight for each step or sequence."""
    _, x, before, delta = layer_of(predictions)
    scaled = delta * (weights[:, None, None] if along == "step" else weights[None, :, None])
    return {
        "layer0.W_xh": np.einsum("tbi,tbh->ih", x, scaled),
        "layer0.W_hh": np.einsum("tbi,tbh->ih", before, scaled),
        "layer0.b_h": scaled.sum(axis=(0, 1)),
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({3: 0.0}, "step 3 left out"),
        ({2: 2.0}, "step 2 counted twice"),
        ({1: 0.0, 4: 0.0}, "step 1, 4 left out"),
        ({0: 0.37, 5: 1.61}, "step 0 counted 0.37 times; step 5 counted 1.61 times"),
    ],
    ids=["dropped", "twice", "two dropped", "odd weights"],
)
def test_the_weight_of_each_step_is_solved_for(change, words):
    predictions = predictions_of("dot")
    weights = np.ones(7)
    for step, weight in change.items():
        weights[step] = weight
    found = diagnose({**predictions.truth, **weighted(predictions, weights, "step")}, predictions)
    assert found[0].fault == "step-weights"
    assert words in found[0].explanation
    assert found[0].residual < 1e-13


def test_the_weight_of_each_sequence_is_solved_for():
    predictions = predictions_of("squared-error")
    changed = weighted(predictions, np.array([1.0, 0.5, 1.0]), "sequence")
    found = diagnose({**predictions.truth, **changed}, predictions)
    assert found[0].fault == "sequence-weights"
    assert "sequence 1 counted 0.5 times" in found[0].explanation


def test_a_discounted_state_gradient_is_recognised():
    predictions = predictions_of("dot")
    layer, x, before, _ = layer_of(predictions)
    slope, carried = layer.slope(), np.zeros_like(layer.h0)
    delta = np.zeros_like(slope)
    for t in reversed(range(7)):
        delta[t] = (layer.recursions[frozenset()].g[t] + 0.9 * carried) * slope[t]
        carried = delta[t] @ layer.W_hh.T
    wrong = {
        "layer0.W_xh": np.einsum("tbi,tbh->ih", x, delta),
        "layer0.W_hh": np.einsum("tbi,tbh->ih", before, delta),
        "layer0.b_h": delta.sum(axis=(0, 1)),
    }
    found = diagnose(wrong, predictions)
    assert found[0].fault == "loss-age-weights"
    assert "multiplied by 0.9 at each step" in found[0].explanation


@pytest.mark.parametrize("name", ["layer0.W_xh", "readout.W_hy", "layer0.h0"])
def test_a_transposed_shape_is_told(name):
    predictions = predictions_of("squared-error")
    found = diagnose({name: predictions.truth[name].T}, predictions)
    assert found[0].fault == "wrong-shape"
    assert "transposed" in found[0].explanation


def test_time_first_is_told():
    predictions = predictions_of("squared-error")
    found = diagnose({"inputs": predictions.truth["inputs"].swapaxes(0, 1)}, predictions)
    assert "time first" in found[0].explanation


def test_a_missing_sum_is_told():
    predictions = predictions_of("squared-error")
    _, _, _, delta = layer_of(predictions)
    found = diagnose({"layer0.b_h": delta.sum(axis=0)}, predictions)
    assert (found[0].fault, found[0].tensors) == ("not-summed", ("layer0.b_h",))
    assert "axis 0" in found[0].explanation


SHAPES = {
    "sum over the batch": (
        "layer0.h0",
        lambda g: g.sum(0),
        "the sum of the right one over the batch, the gradient of one learned initial state",
    ),
    "mean over the batch": ("layer0.h0", lambda g: g.mean(0), "the mean of the right one over the batch"),
    "one sequence": ("layer1.h0", lambda g: g[2], "is sequence 2 of the right one alone"),
    "one step": ("inputs", lambda g: g[:, 3], "is step 3 of the right one alone"),
    "over batch and steps": (
        "inputs",
        lambda g: g.sum((0, 1)),
        "sum of the right one over the batch and the steps",
    ),
    "axis kept": ("layer0.W_hh", lambda g: g.sum(0, keepdims=True), "the sum of the right one over axis 0"),
    "a few columns": ("layer0.W_hh", lambda g: g[:, 2:4], "the part from 2 to 3 along axis 1 of the right one alone"),
    "random numbers": ("layer0.h0", lambda g: np.cos(g.sum(0)), "is no sum, mean, repetition or slice along one axis"),
}


@pytest.mark.parametrize(("name", "made", "words"), SHAPES.values(), ids=SHAPES)
def test_a_wrong_shape_is_a_wrong_shape(name, made, words):
    predictions = predictions_of("squared-error")
    given = made(predictions.truth[name])
    (found,) = diagnose({**predictions.truth, name: given}, predictions)
    assert (found.fault, found.tensors) == ("wrong-shape", (name,))
    assert words in found.explanation
    assert f"it has shape {given.shape}, and should have {predictions.truth[name].shape}" in found.explanation
    assert "nan" not in str(found)


def test_a_mean_that_is_not_taken_is_told():
    predictions = predictions_of("squared-error")
    spread = np.array([0.5, 1.5])[:, None, None] * predictions.truth["layer0.W_hh"]
    (found,) = diagnose({"layer0.W_hh": spread}, predictions)
    assert (found.fault, "its mean is the right one" in found.explanation) == ("not-summed", True)


def test_a_wrong_shape_and_a_fault_are_two_diagnoses():
    """Two diagnoses of different tensors stand beside each other, and neither in the other's place."""
    predictions = predictions_of("squared-error")
    h0, W_hh = predictions.truth["layer0.h0"], predictions.truth["layer1.W_hh"]
    shape, fault, *others = diagnose({**predictions.truth, "layer0.h0": h0.sum(0), "layer1.W_hh": W_hh.T}, predictions)
    assert (shape.fault, shape.tensors) == ("wrong-shape", ("layer0.h0",))
    assert (fault.fault, fault.tensors) == ("transposed", ("layer1.W_hh",))
    assert all(each.tensors == fault.tensors for each in others)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ("outputs", "first wrong output: step 2, sequence 1, output 3"),
        ("loss", "the loss is wrong; the outputs are right"),
        ("readout.b_y", "first wrong gradient: readout.b_y"),
        ("layer1.W_hh", "first wrong gradient: layer1.W_hh"),
        ("inputs", "first wrong gradient: inputs, at step 2 (counted from 0); at later steps the gradient"),
    ],
)
def test_where_the_numbers_are_first_off(tensor, words):
    predictions = predictions_of("squared-error")
    spoilt = predictions.truth[tensor].copy()
    noise = np.random.default_rng(3)
    if tensor == "outputs":
        spoilt[1, 2, 3] += 0.123
        spoilt[:, 3:] += noise.normal(size=spoilt[:, 3:].shape)
    elif tensor == "inputs":
        spoilt[:, :3] += noise.normal(size=spoilt[:, :3].shape)
    else:
        spoilt = spoilt + noise.normal(size=spoilt.shape)
    found = diagnose({**predictions.truth, tensor: spoilt}, predictions)
    assert words in found[0].start, found[0].start
    assert found[0].fault == UNEXPLAINED  # of one number, too, though any is a multiple of another
