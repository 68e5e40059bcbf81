"""Keras 3: a Sequential model, saved whole (``.keras``) or its weights alone (``.weights.h5``).

A file of a whole model is loaded as such, and its own layers compute (``keras_model``). A file of weights alone that
the harness wrote is loaded into an equal model. For any other file, each layer here loads its own variables
(``load_own_variables``) from its group in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.implementations import Returned
from harness.implementations.keras_rnn import ACTIVATIONS, KERAS, layers, solved_by, variables
from harness.port.sides.base import File, Side, merged
from harness.port.sides.keras_model import solved_by_model
from harness.problem import Problem
from harness.tensors import Structure

WEIGHTS = ".weights.h5"


class KerasSide(Side):
    """SimpleRNN, LSTM and GRU, in Bidirectional for two directions."""

    name, to, layout, framework, implementation = "keras", "keras", "keras", KERAS, "keras"
    endings = (".keras", WEIGHTS)

    @override
    def settled(self, weights: Mapping[str, ndarray]) -> dict[str, ndarray]:
        settled = dict(weights)
        for name, array in weights.items():
            if array.ndim == 2 and name.endswith(".bias"):  # (2, 3H), of a gru with its reset after the product
                settled[name] = np.stack(merged(array[0], array[1], 2 * array.shape[1] // 3))
        return settled

    @override
    def layer_in(self, path: Path, structure: Structure) -> str | None:
        if not path.name.endswith(WEIGHTS):
            return None
        kinds = {"rnn": "simple_rnn", "lstm": "lstm", "gru": "gru"}
        kind = "bidirectional" if structure.directions == 2 else kinds[structure.cell]
        return ",".join(f"layers/{kind}_{n}" if n else f"layers/{kind}" for n in range(structure.layers))

    @override
    def write(self, path: Path, weights: Mapping[str, ndarray], structure: Structure, activation: str) -> None:
        dtype = next(iter(weights.values())).dtype.name
        model = _model(structure, activation, dtype)
        for name, variable in variables(_by_layer(model.layers), structure).items():
            variable.assign(weights[name])
        if path.name.endswith(WEIGHTS):
            model.save_weights(path)
        else:
            model.save(path)

    @override
    def returned(self, file: File, problem: Problem) -> Returned:
        structure, case = problem.structure, problem.case
        if file.objects:
            import keras

            return solved_by_model(file, problem, keras.models.load_model)
        if any(each.format != "keras" for each in file.tensor_files):
            return super().returned(file, problem)
        if file.ours:
            model = _model(structure, case.activation, case.dtype)
            model.load_weights(file.path)
            return solved_by(_with_states(model.layers), problem)
        built = layers(structure, case.activation, case.dtype, zero_past_ends=True)
        _load_own(built, file, structure)
        return solved_by(built, problem)


def _model(structure: Structure, activation: str, dtype: str) -> Any:
    import keras

    kinds = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    options: dict[str, Any] = {"reset_after": structure.reset == "after"} if structure.cell == "gru" else {}
    model = keras.Sequential([keras.Input((None, structure.input), dtype=dtype)])
    for _ in range(structure.layers):
        own = {**options, "activation": ACTIVATIONS[activation], "return_sequences": True, "dtype": dtype}
        layer = kinds[structure.cell](structure.hidden, **own)
        model.add(keras.layers.Bidirectional(layer, dtype=dtype) if structure.directions == 2 else layer)
    return model


def _by_layer(own: Sequence[Any]) -> dict[str, Any]:
    """Return a model's recurrent layers by the harness's names of them."""
    return {f"layer{n}": each for n, each in enumerate(own)}


def _with_states(own: Sequence[Any]) -> dict[str, Any]:
    """Return a model's recurrent layers by the harness's names of them, made to return their states, too."""
    for each in own:
        for layer in (each, getattr(each, "forward_layer", each), getattr(each, "backward_layer", each)):
            layer.return_state = True
    return _by_layer(own)


def _load_own(built: Mapping[str, Any], file: File, structure: Structure) -> None:
    """Load the variables of each cell from its group of a file."""
    import h5py

    with h5py.File(file.path, "r") as opened:
        for n, reverse, names in file.names:
            layer = built[f"layer{n}"]
            if structure.directions == 2:
                layer = layer.backward_layer if reverse else layer.forward_layer
            group = opened[names["kernel"].rpartition("/")[0]]
            if "bias" in names and "0" in group:
                layer.cell.load_own_variables(group)
                continue
            for variable in layer.cell.trainable_variables:  # without biases, or as Keras 2 named them
                own = names.get(variable.name)
                variable.assign(opened[own][()] if own else np.zeros(variable.shape, variable.dtype))


SIDE = KerasSide()
