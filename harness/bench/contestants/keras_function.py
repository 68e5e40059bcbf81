"""``keras``: a Keras 3 layer, SimpleRNN, LSTM or GRU, with its gradient, in one tf.function."""

from __future__ import annotations

from harness.bench.contestants.base import Contestant, Pass, Tensors
from harness.implementations.keras_rnn import KERAS
from harness.problem import Problem
from harness.tensors import STATES


def prepare(problem: Problem, threads: int) -> Pass:
    """Return the two passes, traced by the first call; TensorFlow takes the number of threads when it is set up."""
    import keras
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    case, structure = problem.case, problem.structure
    kind = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[case.cell]
    options = {"reset_after": structure.reset == "after"} if case.cell == "gru" else {}
    layer = kind(structure.hidden, return_sequences=True, dtype=case.dtype, **options)
    layer.build((structure.batch, structure.time, structure.input))
    weights = {f"layer0.{each.name}": each for each in layer.trainable_variables}
    for name, variable in weights.items():
        variable.assign(problem.weights[name])
    given = {name: tf.constant(array) for name, array in problem.initial_state.items()}  # (B, H) each
    given["inputs"] = tf.constant(problem.inputs)  # (B, T, I)
    upstream = tf.constant(problem.upstream)  # (B, T, H)
    names = [f"layer0.{state}" for state in STATES[case.cell]]

    def both(given: Tensors) -> Tensors:
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = layer(given["inputs"], initial_state=[given[name] for name in names])  # (B, T, H)
        sources = {**{name: each.value for name, each in weights.items()}, **given}
        return {"outputs": outputs, **tape.gradient(outputs, sources, output_gradients=upstream)}

    traced = tf.function(both)
    return lambda: traced(given)


CONTESTANT = Contestant("keras", "keras", KERAS, prepare)
