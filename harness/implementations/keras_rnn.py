"""``keras``: Keras 3's SimpleRNNCell, LSTMCell or GRUCell in keras.layers.RNN, one on another, under GradientTape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from harness.implementations.base import Framework, Returned, implementation
from harness.implementations.tensorflow_losses import loss_of
from harness.implementations.truncated import pieces
from harness.problem import Problem
from harness.tensors import STATES, Structure

KERAS = Framework(
    "keras",
    ("tensorflow", "keras"),
    install="tensorflow",
    environment={"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0", "CUDA_VISIBLE_DEVICES": "-1"},
)

ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "identity": "linear"}


def layers(structure: Structure, activation: str, dtype: str) -> dict[str, Any]:
    """Return the network's layers, by block, and the readout as ``readout`` if there is one.

    Building them takes as long as a small case, so they are kept: their variables are assigned for each problem, and
    neither batch nor time is part of a layer.
    """
    return _built(replace(structure, batch=1, time=1), activation, dtype)


@lru_cache(maxsize=64)
def _built(structure: Structure, activation: str, dtype: str) -> dict[str, Any]:
    import keras

    built = {}
    for block in structure.blocks:
        cell = _cell(structure, activation=ACTIVATIONS[activation], dtype=dtype)
        built[block] = keras.layers.RNN(cell, return_sequences=True, return_state=True, dtype=dtype)
        built[block].build((None, None, structure.input_size(block)))
    if structure.output is not None:
        built["readout"] = keras.layers.Dense(structure.output, dtype=dtype)
        built["readout"].build((None, None, structure.hidden))
    return built


def _cell(structure: Structure, **options: Any) -> Any:
    import keras

    match structure.cell:
        case "lstm":
            return keras.layers.LSTMCell(structure.hidden, **options)
        case "gru":
            return keras.layers.GRUCell(structure.hidden, reset_after=structure.reset == "after", **options)
        case _:
            return keras.layers.SimpleRNNCell(structure.hidden, **options)


def variables(built: Mapping[str, Any]) -> dict[str, Any]:
    """Return every variable of the layers, by its name in the keras layout."""
    return {f"{name}.{each.name}": each for name, layer in built.items() for each in layer.trainable_variables}


def initial_weights(structure: Structure, seed: int, dtype: str) -> Mapping[str, Any]:
    """Return the weights that the recurrent layers and Dense give themselves, under Keras' names."""
    import keras

    keras.utils.set_random_seed(seed)
    fresh = _built.__wrapped__(structure, "tanh", dtype)
    return {name: each.numpy() for name, each in variables(fresh).items()}


@implementation(
    "keras",
    layout="keras",
    framework=KERAS,
    supports={"cell": ("rnn", "lstm", "gru")},
    complete=True,
    initial_weights=initial_weights,
)
def keras_rnn(problem: Problem) -> Returned:
    """keras.layers.RNN of SimpleRNNCell, LSTMCell or GRUCell, and Dense, under GradientTape."""
    import tensorflow as tf

    built = layers(problem.structure, problem.case.activation, problem.case.dtype)
    weights = variables(built)
    for name, variable in weights.items():
        variable.assign(problem.weights[name])
    inputs = tf.constant(problem.inputs)  # (B, T, I)
    initial_state = {name: tf.constant(array) for name, array in problem.initial_state.items()}  # (B, H) each
    with tf.GradientTape() as tape:
        tape.watch([inputs, *initial_state.values()])

        def run(first: int, last: int, state: Any) -> tuple[Any, Any]:
            outputs, ended = inputs[:, first:last], []
            for block, before in zip(problem.structure.blocks, state, strict=True):
                outputs, *after = built[block](outputs, initial_state=before)  # (B, last - first, H), (B, H) each
                ended.append(after)
            return outputs, ended

        def constant(state: Any) -> Any:
            return [[tf.stop_gradient(each) for each in of_layer] for of_layer in state]

        T, names = problem.structure.time, STATES[problem.structure.cell]
        initial = [[initial_state[f"{block}.{name}"] for name in names] for block in problem.structure.blocks]
        outputs = tf.concat(pieces(problem.truncation, T, initial, run, constant), 1)  # (B, T, H)
        if "readout" in built:
            outputs = built["readout"](outputs)  # (B, T, O)
        loss = loss_of(problem, outputs)
    sources = {**{name: each.value for name, each in weights.items()}, **initial_state, "inputs": inputs}
    # What a truncated gradient does not reach is not connected, and zero.
    gradients = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {
        "loss": loss.numpy(),
        "outputs": outputs.numpy(),
        **{name: gradient.numpy() for name, gradient in gradients.items() if gradient is not None},
    }
