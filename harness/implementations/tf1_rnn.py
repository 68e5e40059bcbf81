"""``tf1``: TensorFlow 1's BasicRNNCell, BasicLSTMCell or GRUCell in a MultiRNNCell, run eagerly under GradientTape.

Sequences of unequal length are run by dynamic_rnn, both directions by bidirectional_dynamic_rnn, layer by layer.

These cells exist only with Keras 2 (the package tf_keras), which must be chosen before TensorFlow is imported. So they
have a process of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from harness.derive.truncated import pieces
from harness.implementations.base import Framework, Returned, implementation
from harness.implementations.tensorflow_losses import loss_of
from harness.layout.tf1 import FORGET_BIAS, LAYOUT
from harness.problem import Problem
from harness.tensors import Structure

TF1 = Framework(
    "tf1",
    ("tensorflow", "tf_keras"),
    install="tensorflow",
    environment={"TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": "-1"},
)


def cells(structure: Structure, activation: str, dtype: str, forget_bias: float = FORGET_BIAS) -> dict[str, Any]:
    """Return the network's cells, by block, kept from one problem to the next."""
    return _built(replace(structure, batch=1, time=1), activation, dtype, forget_bias)


@lru_cache(maxsize=64)
def _built(structure: Structure, activation: str, dtype: str, forget_bias: float = FORGET_BIAS) -> dict[str, Any]:
    import tensorflow as tf

    functions = {"tanh": tf.tanh, "relu": tf.nn.relu, "sigmoid": tf.sigmoid, "identity": tf.identity}
    built = {}
    for block in structure.blocks:
        cell = _cell(structure, forget_bias, activation=functions[activation], dtype=dtype)
        cell.build(tf.TensorShape([None, structure.input_size(block)]))
        built[block] = cell
    return built


def forget() -> None:
    """Forget the cells that are kept: they cannot be called any more after a cell was made in a graph.

    tf_keras has one class of layers for graphs and one for eager calls. Making a cell changes the base of its class to
    the present one, for all existing cells, too.
    """
    _built.cache_clear()


def _cell(structure: Structure, forget_bias: float, **options: Any) -> Any:
    import tensorflow as tf

    cells = tf.compat.v1.nn.rnn_cell
    match structure.cell:
        case "lstm":
            return cells.BasicLSTMCell(structure.hidden, forget_bias=float(forget_bias), **options)
        case "gru":
            return cells.GRUCell(structure.hidden, **options)
        case _:
            return cells.BasicRNNCell(structure.hidden, **options)


VARIABLES = {"rnn": ("kernel", "bias"), "lstm": ("kernel", "bias"), "gru": ("kernel", "bias", "kernel", "bias")}
"""The cells' variables in order. A gru has two pairs: of the gates (2H columns) and of the candidate (H)."""


def variables(built: Mapping[str, Any], structure: Structure) -> dict[str, list[Any]]:
    """Return the variables of the cells by name in the tf1 layout, in which a gru's two are parts of one tensor."""
    found: dict[str, list[Any]] = {}
    for own, of_block in zip(LAYOUT.blocks(structure).values(), built.values(), strict=True):
        for name, each in zip(VARIABLES[structure.cell], of_block.trainable_variables, strict=True):
            found.setdefault(f"{own}.{name}", []).append(each)
    return found


def whole(parts: Sequence[Any]) -> ndarray:
    """Join the parts of a tensor (…, G·H), side by side."""
    return np.concatenate([part.numpy() for part in parts], axis=-1)


def initial_weights(structure: Structure, seed: int, dtype: str) -> Mapping[str, Any]:
    """Return the cells' own initial weights, and Glorot's for the readout, under TF1's names."""
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(seed)  # TensorFlow's own seed does not affect the cells: Keras draws theirs
    fresh = variables(_built.__wrapped__(structure, "tanh", dtype), structure)
    weights = {name: whole(parts) for name, parts in fresh.items()}
    if structure.output is not None:
        glorot = tf.compat.v1.glorot_uniform_initializer(seed=seed)
        weights["readout.kernel"] = glorot((structure.state_width, structure.output), dtype=dtype).numpy()
        weights["readout.bias"] = tf.zeros(structure.output, dtype).numpy()
    return weights


@implementation(
    "tf1",
    layout="tf1",
    framework=TF1,
    supports={"cell": ("rnn", "lstm", "gru"), "reset": ("before",)},
    complete=True,
    initial_weights=initial_weights,
)
def tf1_rnn(problem: Problem) -> Returned:
    """tf.compat.v1 BasicRNNCell, BasicLSTMCell or GRUCell in MultiRNNCell, under GradientTape."""
    return solved(problem)


def solved(problem: Problem, forget_bias: float = FORGET_BIAS) -> Returned:
    """Run the cells on a problem.

    Args:
        problem: The problem, in the tf1 layout.
        forget_bias: The number that an lstm adds to its forget gate at run time.
    """
    import tensorflow as tf

    structure = problem.structure
    built = cells(structure, problem.case.activation, problem.case.dtype, forget_bias)
    weights = variables(built, structure)
    for name, parts in weights.items():
        ends = np.cumsum([part.shape[-1] for part in parts])[:-1]
        for part, array in zip(parts, np.split(problem.weights[name], ends, axis=-1), strict=True):
            part.assign(array)
    readout = {name: tf.Variable(array) for name, array in problem.weights.items() if name.startswith("readout.")}
    inputs = tf.constant(problem.inputs)  # (B, T, I)
    initial_state = {name: tf.constant(array) for name, array in problem.initial_state.items()}  # (B, H) each
    valid = None if problem.lengths is None else tf.constant(problem.valid)  # (B, T) of bool
    with tf.GradientTape() as tape:
        tape.watch([inputs, *initial_state.values()])

        run = _in_both_directions if structure.directions == 2 else _forward

        def constant(state: Any) -> Any:
            return tf.nest.map_structure(tf.stop_gradient, state)

        def run_steps(first: int, last: int, state: Any) -> tuple[Any, Any]:
            left = None  # (B,): the number of these steps in each sequence
            if problem.lengths is not None:
                left = np.clip(problem.lengths - first, 0, last - first)
            return run(list(built.values()), inputs[:, first:last], state, left)

        pair = tf.compat.v1.nn.rnn_cell.LSTMStateTuple
        initial = tuple(
            pair(initial_state[f"{block}.c0"], initial_state[f"{block}.h0"])
            if structure.cell == "lstm"
            else initial_state[f"{block}.h0"]
            for block in structure.blocks
        )
        graphs = pieces(problem.truncation, structure.time, initial, run_steps, constant)
        outputs = tf.concat(graphs, 1)  # (B, T, D·H)
        if readout:
            outputs = outputs @ readout["readout.kernel"] + readout["readout.bias"]  # (B, T, O)
            if valid is not None:
                outputs = tf.where(valid[:, :, None], outputs, tf.zeros_like(outputs))
        loss = loss_of(problem, outputs)
    # A tensor that a truncated gradient does not reach is not connected; its gradient is zero.
    gradients = tape.gradient(
        loss,
        {**weights, **readout, **initial_state, "inputs": inputs},
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    of_weights = {name: whole(gradients.pop(name)) for name in weights}
    return {
        "loss": loss.numpy(),
        "outputs": outputs.numpy(),
        **of_weights,
        **{name: gradient.numpy() for name, gradient in gradients.items()},
    }


def _forward(cells: Sequence[Any], inputs: Any, state: Any, lengths: ndarray | None) -> tuple[Any, Any]:
    """Run a MultiRNNCell over inputs (B, T, I); return its outputs, (B, T, H), and its last state."""
    import tensorflow as tf

    stack = tf.compat.v1.nn.rnn_cell.MultiRNNCell(list(cells))
    if lengths is not None:
        return tf.compat.v1.nn.dynamic_rnn(stack, inputs, lengths, initial_state=state)
    steps = []
    for t in range(inputs.shape[1]):
        step, state = stack(inputs[:, t], state)  # (B, H)
        steps.append(step)
    return tf.stack(steps, 1), state


def _in_both_directions(cells: Sequence[Any], inputs: Any, state: Any, lengths: ndarray | None) -> tuple[Any, Any]:
    """Run pairs of cells, each a layer, over inputs (B, T, I); return the outputs, (B, T, 2H), and the states."""
    import tensorflow as tf

    outputs, ended = inputs, []
    for n in range(0, len(cells), 2):
        both, after = tf.compat.v1.nn.bidirectional_dynamic_rnn(
            *cells[n : n + 2], outputs, lengths, initial_state_fw=state[n], initial_state_bw=state[n + 1]
        )
        outputs = tf.concat(both, -1)  # (B, T, 2H)
        ended += after
    return outputs, tuple(ended)
