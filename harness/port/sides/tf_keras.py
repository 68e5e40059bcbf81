"""Keras 2 (the package tf_keras): reads the whole models that it saved, ``.keras`` and ``.h5``. It writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from numpy import ndarray
from typing_extensions import override

from harness.implementations import Returned
from harness.implementations.tf1_rnn import TF1
from harness.port.sides.base import File, Side
from harness.port.sides.keras_model import solved_by_model
from harness.problem import Problem
from harness.tensors import Structure


class Keras2Side(Side):
    """SimpleRNN, LSTM, GRU and RNN of their cells, and Bidirectional."""

    name, to, layout, framework, implementation = "tf_keras", "", "keras", replace(TF1, name="tf_keras"), "keras"
    endings = ()

    @override
    def write(self, path: Path, weights: Mapping[str, ndarray], structure: Structure, activation: str) -> None:
        raise ValueError("tf_keras only reads")

    @override
    def returned(self, file: File, problem: Problem) -> Returned:
        import tf_keras

        return solved_by_model(file, problem, tf_keras.models.load_model)


READER = Keras2Side()
