"""``keras``: Keras 3's SimpleRNNCell, LSTMCell or GRUCell in stacked keras.layers.RNN, under GradientTape.

Sequences of unequal length have a mask. After a sequence's end, a layer returns zeros with ``zero_output_for_mask``; by
default keras.layers.RNN repeats the last output. That default is ``keras-repeated``, for cases that name it.
Bidirectional sets zero_output_for_mask itself, and puts the outputs of its backward layer in order.
``keras-go-backwards``, for cases that name it, leaves that layer's outputs in reversed order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from harness.derive.truncated import pieces
from harness.implementations.base import Framework, Returned, Unsupported, implementation
from harness.implementations.tensorflow_losses import loss_of
from harness.layout.keras import blocks
from harness.problem import Problem
from harness.tensors import STATES, Structure

KERAS = Framework(
    "keras",
    ("tensorflow", "keras"),
    install="tensorflow",
    environment={"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0", "CUDA_VISIBLE_DEVICES": "-1"},
)

ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "identity": "linear"}


def layers(structure: Structure, activation: str, dtype: str, zero_past_ends: bool) -> dict[str, Any]:
    """Return the network's layers, ``layer0`` and so on, and the readout as ``readout`` if there is one.

    Building them takes as long as a small case, so they are kept. Their variables are assigned for each problem;
    neither batch nor time is part of a layer.
    """
    return _built(replace(structure, batch=1, time=1), activation, dtype, zero_past_ends)


@lru_cache(maxsize=64)
def _built(structure: Structure, activation: str, dtype: str, zero_past_ends: bool = True) -> dict[str, Any]:
    import keras

    built: dict[str, Any] = {}
    for n in range(structure.layers):
        cell = _cell(structure, activation=ACTIVATIONS[activation], dtype=dtype)
        options = {"return_sequences": True, "return_state": True, "zero_output_for_mask": zero_past_ends}
        layer = keras.layers.RNN(cell, **options, dtype=dtype)
        if structure.directions == 2:
            layer = keras.layers.Bidirectional(layer, dtype=dtype)
        layer.build((None, None, structure.input_size(f"layer{n}")))
        built[f"layer{n}"] = layer
    if structure.output is not None:
        built["readout"] = keras.layers.Dense(structure.output, dtype=dtype)
        built["readout"].build((None, None, structure.state_width))
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


def variables(built: Mapping[str, Any], structure: Structure) -> dict[str, Any]:
    """Return every variable of the layers by its name in the keras layout."""
    own = {"readout": built["readout"]} if "readout" in built else {}
    for n in range(structure.layers):
        layer = built[f"layer{n}"]
        directions = [layer] if structure.directions == 1 else [layer.forward_layer, layer.backward_layer]
        own |= {blocks(structure)[block]: each for block, each in zip(structure.blocks_of(n), directions, strict=True)}
    return {f"{name}.{each.name}": each for name, layer in own.items() for each in layer.trainable_variables}


def initial_weights(structure: Structure, seed: int, dtype: str) -> Mapping[str, Any]:
    """Return the initial weights of the recurrent layers and Dense, under Keras' names."""
    import keras

    keras.utils.set_random_seed(seed)
    fresh = _built.__wrapped__(structure, "tanh", dtype)
    return {name: each.numpy() for name, each in variables(fresh, structure).items()}


@implementation(
    "keras",
    layout="keras",
    framework=KERAS,
    supports={"cell": ("rnn", "lstm", "gru")},
    complete=True,
    initial_weights=initial_weights,
)
def keras_rnn(problem: Problem) -> Returned:
    """keras.layers.RNN of SimpleRNNCell, LSTMCell or GRUCell, Bidirectional, and Dense, under GradientTape."""
    return _solved(problem)


@implementation(
    "keras-repeated",
    layout="keras",
    framework=KERAS,
    supports={"cell": ("rnn", "lstm", "gru")},
    complete=True,
    only_named=True,
)
def keras_repeated(problem: Problem) -> Returned:
    """As keras, without zero_output_for_mask: past its end a sequence repeats its last output."""
    if problem.lengths is None:
        raise Unsupported("without lengths there is nothing past an end")
    if problem.structure.directions == 2:
        raise Unsupported("Bidirectional sets zero_output_for_mask, whatever its layers have")
    return _solved(problem, zero_past_ends=False)


@implementation(
    "keras-go-backwards",
    layout="keras",
    framework=KERAS,
    supports={"cell": ("rnn", "lstm", "gru")},
    complete=True,
    only_named=True,
)
def keras_go_backwards(problem: Problem) -> Returned:
    """A layer beside one with go_backwards, whose outputs stay in reversed order: Bidirectional by hand, forgetful."""
    if problem.structure.directions == 1 or problem.lengths is not None:
        raise Unsupported("only bidirectional layers over sequences of equal length")
    return _solved(problem, in_order=False)


def _solved(problem: Problem, *, zero_past_ends: bool = True, in_order: bool = True) -> Returned:
    built = layers(problem.structure, problem.case.activation, problem.case.dtype, zero_past_ends)
    for name, variable in variables(built, problem.structure).items():
        variable.assign(problem.weights[name])
    return solved_by(built, problem, zero_past_ends=zero_past_ends, in_order=in_order)


def solved_by(
    built: Mapping[str, Any], problem: Problem, *, zero_past_ends: bool = True, in_order: bool = True
) -> Returned:
    """Run layers with their own weights; those of the problem are ignored.

    Args:
        built: The layers, ``layer0`` and so on, which return sequences and states, and ``readout`` if there is one.
        problem: The problem.
        zero_past_ends: True if outputs past a sequence's end are zero.
        in_order: True if a bidirectional layer puts the outputs of its backward direction in order.
    """
    import tensorflow as tf

    structure = problem.structure
    weights = variables(built, structure)
    inputs = tf.constant(problem.inputs)  # (B, T, I)
    initial_state = {name: tf.constant(array) for name, array in problem.initial_state.items()}  # (B, H) each
    valid = None if problem.lengths is None else tf.constant(problem.valid)  # (B, T) of bool
    with tf.GradientTape() as tape:
        tape.watch([inputs, *initial_state.values()])

        def run(first: int, last: int, state: Any) -> tuple[Any, Any]:
            outputs, ended = inputs[:, first:last], []
            mask = None if valid is None else valid[:, first:last]  # (B, last - first)
            for n, before in enumerate(state):
                layer = built[f"layer{n}"] if in_order else partial(_side_by_side, built[f"layer{n}"])
                outputs, *after = layer(outputs, initial_state=before, mask=mask)  # (B, last - first, D·H)
                ended.append(after)  # (B, H) each
            return outputs, ended

        def constant(state: Any) -> Any:
            return [[tf.stop_gradient(each) for each in of_layer] for of_layer in state]

        names = STATES[structure.cell]
        initial = [
            [initial_state[f"{block}.{name}"] for block in structure.blocks_of(n) for name in names]
            for n in range(structure.layers)
        ]
        outputs = tf.concat(pieces(problem.truncation, structure.time, initial, run, constant), 1)  # (B, T, D·H)
        if "readout" in built:
            outputs = built["readout"](outputs)  # (B, T, O)
            if valid is not None and zero_past_ends:
                outputs = tf.where(valid[:, :, None], outputs, tf.zeros_like(outputs))
        loss = loss_of(problem, outputs)
    sources = {**{name: each.value for name, each in weights.items()}, **initial_state, "inputs": inputs}
    # A tensor that a truncated gradient does not reach is not connected; its gradient is zero.
    gradients = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {
        "loss": loss.numpy(),
        "outputs": outputs.numpy(),
        **{name: gradient.numpy() for name, gradient in gradients.items() if gradient is not None},
    }


def _side_by_side(both: Any, inputs: Any, initial_state: Any, mask: Any) -> list[Any]:
    """Run both layers of a Bidirectional over inputs (B, T, I); return unordered outputs (B, T, 2H) and the states."""
    import tensorflow as tf

    half = len(initial_state) // 2
    forward, *ended = both.forward_layer(inputs, initial_state=initial_state[:half], mask=mask)  # (B, T, H)
    backward, *others = both.backward_layer(inputs, initial_state=initial_state[half:], mask=mask)  # (B, T, H)
    return [tf.concat([forward, backward], -1), *ended, *others]
