"""TensorFlow 1: checkpoints by ``tf.compat.v1.train.Saver``, read by ``tf.train.load_checkpoint``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy import ndarray
from typing_extensions import override

from harness.checkpoint import TensorFile
from harness.checkpoint.formats.tf1 import INDEX, prefix_of
from harness.implementations import Returned
from harness.implementations.tf1_rnn import TF1 as FRAMEWORK
from harness.implementations.tf1_rnn import VARIABLES, forget, solved
from harness.layout.tf1 import FORGET_BIAS, LAYOUT
from harness.port.sides.base import File, Side
from harness.problem import Problem
from harness.tensors import Structure


class TF1Side(Side):
    """BasicRNNCell, BasicLSTMCell and GRUCell, in dynamic_rnn or bidirectional_dynamic_rnn."""

    name, to, layout, framework, implementation = "tf1", "tf1", "tf1", FRAMEWORK, "tf1"
    endings = (INDEX, ".ckpt", "")

    @override
    def why_not(self, structure: Structure, activation: str) -> str:
        if structure.cell == "gru" and structure.reset == "after":
            return (
                "its gru has the reset after the recurrent product, and TensorFlow 1's before it; and it has two "
                "biases of the candidate, which cannot be one"
            )
        return ""

    @override
    def returned(self, file: File, problem: Problem) -> Returned:
        bias = FORGET_BIAS if file.forget_bias is None else file.forget_bias
        return solved(self.filled(file, problem), bias)

    @override
    def arrays(self, file: TensorFile) -> Mapping[str, ndarray]:
        import tensorflow as tf

        if file.format != "tf1":
            return super().arrays(file)
        reader = tf.train.load_checkpoint(str(prefix_of(file.path)))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}

    @override
    def write(self, path: Path, weights: Mapping[str, ndarray], structure: Structure, activation: str) -> None:
        import tensorflow as tf

        v1 = tf.compat.v1
        dtype = next(iter(weights.values())).dtype.name
        with tf.Graph().as_default():
            made = _graph(structure, activation, dtype)
            with v1.Session() as session:
                for path_of_block, variables in zip(LAYOUT.blocks(structure).values(), made, strict=True):
                    for variable, array in zip(variables, _parts(weights, path_of_block, structure), strict=True):
                        variable.load(array, session)
                v1.train.Saver().save(session, str(prefix_of(path)), write_meta_graph=False, write_state=False)
        forget()

    @override
    def written(self, path: Path) -> tuple[Path, ...]:
        prefix = prefix_of(path)
        return prefix.with_name(f"{prefix.name}.data-00000-of-00001"), prefix.with_name(prefix.name + INDEX)


def _graph(structure: Structure, activation: str, dtype: str) -> list[Sequence[Any]]:
    """Build the network in the present graph; return the variables of each block."""
    import tensorflow as tf

    v1, cells = tf.compat.v1, tf.compat.v1.nn.rnn_cell
    function = {"tanh": tf.tanh, "relu": tf.nn.relu, "sigmoid": tf.sigmoid, "identity": tf.identity}[activation]

    def cell() -> Any:
        match structure.cell:
            case "lstm":
                return cells.BasicLSTMCell(structure.hidden, forget_bias=float(FORGET_BIAS), activation=function)
            case "gru":
                return cells.GRUCell(structure.hidden, activation=function)
            case _:
                return cells.BasicRNNCell(structure.hidden, activation=function)

    outputs = v1.placeholder(dtype, (None, None, structure.input))
    made = [cell() for _ in structure.blocks]
    if structure.directions == 1:
        whole = made[0] if len(made) == 1 else cells.MultiRNNCell(made)
        v1.nn.dynamic_rnn(whole, outputs, dtype=dtype)
    else:
        for n in range(structure.layers):  # named as stack_bidirectional_dynamic_rnn names its layers
            with v1.variable_scope(f"stack_bidirectional_rnn/cell_{n}"):
                both, _ = v1.nn.bidirectional_dynamic_rnn(*made[2 * n : 2 * n + 2], outputs, dtype=dtype)
            outputs = tf.concat(both, -1)
    return [each.trainable_variables for each in made]


def _parts(weights: Mapping[str, ndarray], block: str, structure: Structure) -> list[ndarray]:
    """Return the values of a cell's variables in their order; a gru's gates and candidate stand side by side."""
    names = VARIABLES[structure.cell]
    if structure.cell != "gru":
        return [weights[f"{block}.{name}"] for name in names]
    H = structure.hidden
    kernel, bias = weights[f"{block}.kernel"], weights[f"{block}.bias"]
    return [kernel[:, : 2 * H], bias[: 2 * H], kernel[:, 2 * H :], bias[2 * H :]]


SIDE = TF1Side()
