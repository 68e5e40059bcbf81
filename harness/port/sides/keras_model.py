"""The original of a port from a whole Keras model: its own layers, loaded by its own Keras, run on the proof's inputs.

It works in Keras 3 and in Keras 2 (tf_keras). It uses nothing of the harness's conversion: the framework reads the file
and makes the layer of the config, and that layer object computes and is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.implementations import Returned
from harness.implementations.tensorflow_losses import loss_of
from harness.layout.keras import blocks
from harness.port.sides.base import File
from harness.problem import Problem
from harness.tensors import STATES, Structure

Load = Callable[..., Any]
"""``keras.models.load_model``, or that of tf_keras."""


def solved_by_model(file: File, problem: Problem, load: Load) -> Returned:
    """Load a whole model, and run its recurrent layers on a problem in sequence.

    Args:
        file: the model's file.
        problem: the problem; its weights are not used.
        load: loads a model.
    """
    with _named_by_content(file) as path:
        model = load(path, compile=False, safe_mode=True)
    found = [_found(model, names) for names in file.objects]
    return _solved(found, problem)


@contextmanager
def _named_by_content(file: File) -> Iterator[str]:
    """Yield a name of a file with the ending that Keras requires."""
    with file.path.open("rb") as opened:
        ending = ".keras" if opened.read(2) == b"PK" else ".h5"
    if file.path.name.endswith(ending):
        yield str(file.path)
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / f"model{ending}"
        link.symlink_to(file.path)
        yield str(link)


def _found(model: Any, names: Sequence[str]) -> Any:
    """Return a layer by the names of the models around it, and its own."""
    for name in names:
        model = model.get_layer(name)
    return model


def _directions(layer: Any) -> list[Any]:
    """Return the layers that run over the steps, forward first."""
    return [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]


def _solved(layers: Sequence[Any], problem: Problem) -> Returned:
    import tensorflow as tf

    structure = problem.structure
    inputs = tf.constant(problem.inputs)  # (B, T, I)
    states = {name: tf.constant(array) for name, array in problem.initial_state.items()}  # (B, H) each
    for layer in layers:
        for each in [layer, *_directions(layer)]:  # its return value changes, but not its computation
            each.return_sequences = each.return_state = True
    alone = _run(layers, structure, inputs, states).numpy()
    variables = _variables(layers, structure)
    with tf.GradientTape() as tape:
        tape.watch([*variables.values(), *states.values(), inputs])
        outputs = _run(layers, structure, inputs, states)  # (B, T, D·H)
        loss = loss_of(problem, outputs)
    if not np.array_equal(outputs.numpy(), alone):
        raise ValueError("a bias of zero, added to a layer without biases, changes its results")
    sources = {**variables, **states, "inputs": inputs}
    gradients = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {
        "loss": loss.numpy(),
        "outputs": outputs.numpy(),
        **{name: gradient.numpy() for name, gradient in gradients.items()},
    }


def _run(layers: Sequence[Any], structure: Structure, inputs: Any, states: Mapping[str, Any]) -> Any:
    """Run layers in sequence over inputs (B, T, I); return the outputs of the last, (B, T, D·H)."""
    import tensorflow as tf

    outputs = inputs
    for n, layer in enumerate(layers):
        steps_first = getattr(_directions(layer)[0], "time_major", False)  # Keras 2 has layers over (T, B, I)
        initial = [states[f"{block}.{name}"] for block in structure.blocks_of(n) for name in STATES[structure.cell]]
        given = tf.transpose(outputs, (1, 0, 2)) if steps_first else outputs
        outputs = layer(given, initial_state=initial, training=False)[0]
        outputs = tf.transpose(outputs, (1, 0, 2)) if steps_first else outputs
    return outputs


def _variables(layers: Sequence[Any], structure: Structure) -> dict[str, Any]:
    """Return the weights of layers by their names in the keras layout.

    A layer without biases gets one of zero, so that the port's bias of zero has a gradient to be compared with.
    """
    import tensorflow as tf

    names, found = blocks(structure), dict[str, Any]()
    for n, layer in enumerate(layers):
        for block, each in zip(structure.blocks_of(n), _directions(layer), strict=True):
            cell = each.cell
            if not cell.use_bias:
                kernel = _tensor(cell.kernel)
                width = kernel.shape[1]
                cell.bias = tf.zeros((2, width) if structure.has_recurrent_bias else (width,), kernel.dtype)
                cell.use_bias = True
            for role in ("kernel", "recurrent_kernel", "bias"):
                found[f"{names[block]}.{role}"] = _tensor(getattr(cell, role))
    return found


def _tensor(variable: Any) -> Any:
    """Return TensorFlow's variable of a variable of Keras 3; one of Keras 2 is its own."""
    value = getattr(variable, "value", variable)
    return variable if callable(value) else value
