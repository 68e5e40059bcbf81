"""Small models of Keras, saved whole by Keras 3 and by Keras 2 (tf_keras): what a port has to take or to refuse.

``python -m tests.port.keras_models keras FOLDER`` writes ``NAME.keras`` and ``NAME.h5`` of each, and its outputs on
fixed inputs into ``outputs.npz``. The two frameworks cannot live in one process.
"""

# ruff: noqa: E501 - tables

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

B, T, I, H = 3, 6, 4, 5

REPRESENTABLE = {
    # what is between the input and the output: one recurrent network, called as the second column says
    "lstm": (lambda L: [L.LSTM(H, return_sequences=True)], "lstm"),
    "lstm_last_step": (lambda L: [L.LSTM(H)], "lstm"),
    "lstm_without_bias": (lambda L: [L.LSTM(H, use_bias=False, return_sequences=True)], "lstm"),
    "lstm_unrolled": (lambda L: [L.LSTM(H, unroll=True, return_sequences=True)], "lstm"),
    "lstm_frozen": (lambda L: [L.LSTM(H, trainable=False, return_sequences=True)], "lstm"),
    "lstm_with_dropout": (lambda L: [L.LSTM(H, dropout=0.25, recurrent_dropout=0.5, return_sequences=True)], "lstm"),
    "lstm_float64": (lambda L: [L.LSTM(H, dtype="float64", return_sequences=True)], "lstm"),
    "rnn_relu": (lambda L: [L.SimpleRNN(H, activation="relu", return_sequences=True)], "simple_rnn"),
    "rnn_linear": (lambda L: [L.SimpleRNN(H, activation="linear", return_sequences=True)], "simple_rnn"),
    "gru_after": (lambda L: [L.GRU(H, return_sequences=True)], "gru"),
    "gru_before": (lambda L: [L.GRU(H, reset_after=False, return_sequences=True)], "gru"),
    "gru_after_without_bias": (lambda L: [L.GRU(H, use_bias=False, return_sequences=True)], "gru"),
    "gru_before_without_bias": (lambda L: [L.GRU(H, reset_after=False, use_bias=False, return_sequences=True)], "gru"),
    "both_ways": (lambda L: [L.Bidirectional(L.GRU(H, return_sequences=True))], "bidirectional"),
    "both_ways_stacked": (
        lambda L: [L.Bidirectional(L.LSTM(H, return_sequences=True)), L.Bidirectional(L.LSTM(H, return_sequences=True))],
        "bidirectional,bidirectional_1",
    ),
    "cell": (lambda L: [L.RNN(L.GRUCell(H), return_sequences=True)], "rnn"),
    "stacked_with_dropout_between": (
        lambda L: [L.LSTM(H, return_sequences=True, name="low"), L.Dropout(0.5), L.LSTM(H, return_sequences=True, name="high")],
        "low,high",
    ),
}  # fmt: skip

KERAS_2_ALONE = {
    "time_major": (lambda L: [L.GRU(H, time_major=True, return_sequences=True)], "gru"),
    "implementation_1": (lambda L: [L.LSTM(H, implementation=1, return_sequences=True)], "lstm"),
}

REFUSED = {
    # the layers, and the words that the refusal has: the field and its value
    "lstm_relu": (lambda L: [L.LSTM(H, activation="relu")], "lstm with activation 'relu'"),
    "lstm_hard_gates": (lambda L: [L.LSTM(H, recurrent_activation="hard_sigmoid")], "lstm with recurrent_activation 'hard_sigmoid'"),
    "gru_linear": (lambda L: [L.GRU(H, activation="linear")], "gru with activation 'linear'"),
    "rnn_elu": (lambda L: [L.SimpleRNN(H, activation="elu")], "simple_rnn with activation 'elu'"),
    "backwards": (lambda L: [L.LSTM(H, go_backwards=True)], "lstm with go_backwards True"),
    "merged_by_sum": (lambda L: [L.Bidirectional(L.LSTM(H), merge_mode="sum")], "bidirectional with merge_mode 'sum'"),
    "both_ways_with_hard_gates": (
        lambda L: [L.Bidirectional(L.LSTM(H, recurrent_activation="hard_sigmoid"))], "bidirectional with recurrent_activation 'hard_sigmoid'",
    ),
    "two_ways_that_differ": (
        lambda L: [L.Bidirectional(L.SimpleRNN(H), backward_layer=L.SimpleRNN(H, activation="relu", go_backwards=True))],
        "two directions that differ in their config",
    ),
    "cells_on_each_other": (lambda L: [L.RNN([L.LSTMCell(H), L.LSTMCell(H)])], "rnn of the class StackedRNNCells"),
    "images": (lambda L: [L.Reshape((T, 2, 2, 1)), L.ConvLSTM2D(2, 2)], "of the class ConvLSTM2D"),
    "cell_with_relu": (lambda L: [L.RNN(L.LSTMCell(H, activation="relu"))], "rnn with activation 'relu'"),
    "half_precision": (lambda L: [L.LSTM(H, dtype="mixed_float16")], "lstm with dtype 'mixed_float16'"),
    "with_code": (lambda L: [L.LSTM(H), L.Lambda(lambda x: x * 2, name="twice")], r"a Lambda \('twice'\), which is code"),
}  # fmt: skip

SEVERAL = {
    # what is built on an input, and the layers that are offered
    "parallel": (lambda L, x: L.Add()([L.LSTM(H, name="left")(x), L.LSTM(H, name="right")(x)]), ["left", "right"]),
    "dense_between": (
        lambda L, x: L.LSTM(H, name="high")(L.Dense(H)(L.LSTM(H, return_sequences=True, name="low")(x))), ["low", "high"],
    ),
    "one_read_by_two": (
        lambda L, x: (lambda low: L.Add()([L.LSTM(H, name="one")(low), L.LSTM(H, name="other")(low)]))(
            L.LSTM(H, return_sequences=True, name="low")(x)
        ), ["low", "one", "other"],
    ),
    "repeated_last_step": (
        lambda L, x: L.LSTM(H, name="decoder")(L.RepeatVector(T)(L.LSTM(H, name="encoder")(x))), ["encoder", "decoder"],
    ),
    "state_handed_on": (
        lambda L, x: (lambda y, h, c: L.LSTM(H, name="decoder")(y, initial_state=[h, c]))(
            *L.LSTM(H, return_sequences=True, return_state=True, name="encoder")(x)
        ), ["encoder", "decoder"],
    ),
    "two_cells": (
        lambda L, x: L.GRU(H, name="gru")(L.LSTM(H, return_sequences=True, name="lstm")(x)), ["lstm", "gru"],
    ),
}  # fmt: skip


SLICED = {
    # what is built on an input with an operation before a layer, and the layers
    "slice_before": (lambda L, x: L.LSTM(H, name="lstm")(x[:, ::-1]), ["lstm"]),
    "slice_between": (lambda L, x: L.LSTM(H, name="high")(L.LSTM(H, return_sequences=True, name="low")(x)[:, ::-1]), ["low", "high"]),
}  # fmt: skip

CALLED_TWICE = {
    # what is built on an input of the layer's own width, and the layer
    "layer_called_twice": (
        lambda K, x: (lambda one: one(one(x)))(K.layers.LSTM(I, return_sequences=True, name="tied")), "tied",
    ),
    "model_called_twice": (
        lambda K, x: (lambda one: one(one(x)))(
            K.Sequential([K.Input((T, I)), K.layers.GRU(I, return_sequences=True, name="gru")], name="inner")
        ), "inner/gru",
    ),
}  # fmt: skip


def inputs():
    """Return what every model is run on, (B, T, I)."""
    return np.random.default_rng(1).normal(size=(B, T, I)).astype("float32")


def filled(keras, model):
    """Give a model random weights, biases too, that all differ."""
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(-0.9, 0.9, each.shape).astype(each.dtype) for each in model.get_weights()])
    return model


def main(framework, folder):
    """Save every model."""
    keras = import_module(framework)
    L, outputs = keras.layers, {}
    alone = KERAS_2_ALONE if framework == "tf_keras" else {}
    for name, (layers, _) in {**REPRESENTABLE, **alone, **REFUSED}.items():
        keras.backend.clear_session()
        steps_first = name == "time_major"
        shape = {"batch_shape": (T, B, I)} if steps_first else {"shape": (T, I)}
        model = filled(keras, keras.Sequential([keras.Input(**shape), *layers(L)]))
        save(model, folder / name)
        if name not in REFUSED:
            found = model.predict(inputs().swapaxes(0, 1) if steps_first else inputs(), batch_size=T, verbose=0)
            outputs[name] = found.swapaxes(0, 1) if steps_first else found
    for name, (built, _) in {**SEVERAL, **SLICED}.items():
        keras.backend.clear_session()
        given = keras.Input((T, I))
        save(filled(keras, keras.Model(given, built(L, given))), folder / name)
    keras.backend.clear_session()
    for name, (built, _) in CALLED_TWICE.items():
        given = keras.Input((T, I))
        save(filled(keras, keras.Model(given, built(keras, given))), folder / name)
        keras.backend.clear_session()
    inner = keras.Sequential([keras.Input((T, I)), L.LSTM(H, return_sequences=True, name="lstm")], name="encoder")
    model = filled(keras, keras.Sequential([keras.Input((T, I)), inner, L.Dense(2)], name="whole"))
    save(model, folder / "nested")
    outputs["nested"] = model.layers[0].predict(inputs(), verbose=0)
    keras.backend.clear_session()
    carried = keras.Sequential([keras.Input(batch_shape=(B, T, I)), L.LSTM(H, stateful=True)])
    save(filled(keras, carried), folder / "stateful")
    np.savez(folder / "outputs.npz", **outputs)


def save(model, path):
    """Save a model whole, in both formats, and its weights alone."""
    for ending in (".keras", ".h5"):
        model.save(f"{path}{ending}")
    model.save_weights(f"{path}.weights.h5")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
