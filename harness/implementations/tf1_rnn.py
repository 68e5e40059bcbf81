"""``tf1``: TensorFlow 1's BasicRNNCell in a MultiRNNCell, run eagerly under GradientTape.

These cells exist only beside Keras 2 (the package tf_keras), which must be chosen before TensorFlow is imported; hence
a process of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from harness.implementations.base import Framework, Returned, implementation
from harness.implementations.tensorflow_losses import loss_of
from harness.implementations.truncated import pieces
from harness.problem import Problem
from harness.tensors import Structure

TF1 = Framework(
    "tf1",
    ("tensorflow", "tf_keras"),
    install="tensorflow",
    environment={"TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": "-1"},
)


def cells(structure: Structure, activation: str, dtype: str) -> dict[str, Any]:
    """Return the network's cells, by block, kept from one problem to the next."""
    return _built(replace(structure, batch=1, time=1), activation, dtype)


@lru_cache(maxsize=64)
def _built(structure: Structure, activation: str, dtype: str) -> dict[str, Any]:
    import tensorflow as tf

    functions = {"tanh": tf.tanh, "relu": tf.nn.relu, "sigmoid": tf.sigmoid, "identity": tf.identity}
    built = {}
    for block in structure.blocks:
        cell = tf.compat.v1.nn.rnn_cell.BasicRNNCell(structure.hidden, functions[activation], dtype=dtype)
        cell.build(tf.TensorShape([None, structure.input_size(block)]))
        built[block] = cell
    return built


def variables(built: Mapping[str, Any]) -> dict[str, Any]:
    """Return every variable of the cells, by its name in the tf1 layout."""
    names = ("kernel", "bias")
    return {
        f"{block}.{name}": each
        for block, cell in built.items()
        for name, each in zip(names, cell.trainable_variables, strict=True)
    }


def initial_weights(structure: Structure, seed: int, dtype: str) -> Mapping[str, Any]:
    """Return the weights that BasicRNNCell gives itself, and Glorot's for the readout, under TF1's names."""
    import tensorflow as tf

    tf.random.set_seed(seed)
    weights = {name: each.numpy() for name, each in variables(_built.__wrapped__(structure, "tanh", dtype)).items()}
    if structure.output is not None:
        glorot = tf.compat.v1.glorot_uniform_initializer(seed=seed)
        weights["readout.kernel"] = glorot((structure.hidden, structure.output), dtype=dtype).numpy()
        weights["readout.bias"] = tf.zeros(structure.output, dtype).numpy()
    return weights


@implementation(
    "tf1",
    layout="tf1",
    framework=TF1,
    supports={"cell": ("rnn",)},
    complete=True,
    initial_weights=initial_weights,
)
def tf1_rnn(problem: Problem) -> Returned:
    """tf.compat.v1 BasicRNNCell in MultiRNNCell, under GradientTape."""
    import tensorflow as tf

    built = cells(problem.structure, problem.case.activation, problem.case.dtype)
    weights = variables(built)
    for name, variable in weights.items():
        variable.assign(problem.weights[name])
    readout = {name: tf.Variable(array) for name, array in problem.weights.items() if name.startswith("readout.")}
    inputs = tf.constant(problem.inputs)  # (B, T, I)
    initial_state = {name: tf.constant(array) for name, array in problem.initial_state.items()}  # (B, H) each
    stack = tf.compat.v1.nn.rnn_cell.MultiRNNCell(list(built.values()))
    with tf.GradientTape() as tape:
        tape.watch([inputs, *initial_state.values()])

        def run(first: int, last: int, state: Any) -> tuple[Any, Any]:
            steps = []
            for t in range(first, last):
                step, state = stack(inputs[:, t], state)  # (B, H)
                steps.append(step)
            return tf.stack(steps, 1), state  # (B, last - first, H)

        def constant(state: Any) -> Any:
            return tuple(tf.stop_gradient(each) for each in state)

        T = problem.structure.time
        outputs = tf.concat(pieces(problem.truncation, T, tuple(initial_state.values()), run, constant), 1)  # (B, T, H)
        if readout:
            outputs = outputs @ readout["readout.kernel"] + readout["readout.bias"]  # (B, T, O)
        loss = loss_of(problem, outputs)
    # What a truncated gradient does not reach is not connected, and zero.
    gradients = tape.gradient(
        loss,
        {**weights, **readout, **initial_state, "inputs": inputs},
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return {
        "loss": loss.numpy(),
        "outputs": outputs.numpy(),
        **{name: gradient.numpy() for name, gradient in gradients.items() if gradient is not None},
    }
