"""Which configs Keras may be given: those that name nothing that runs, opens, fetches or unpickles."""

# ruff: noqa: E501 - tables

import copy
import json

import pytest

from harness.checkpoint import CheckpointRefused
from harness.checkpoint.safe import refuse_code

LSTM = {
    "module": "keras.layers", "class_name": "LSTM", "registered_name": None,
    "config": {"name": "lstm", "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {}, "registered_name": None}},
}  # fmt: skip
MODEL = {
    "module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
    "config": {"name": "m", "layers": [LSTM]},
    "compile_config": {"loss": {"module": "builtins", "class_name": "function", "config": "my_loss", "registered_name": "my_loss"}},
}  # fmt: skip


def with_layer(layer):
    model = copy.deepcopy(MODEL)
    model["config"]["layers"].append(layer)
    return model


ALLOWED = {
    "layers_and_how_it_was_compiled": MODEL,
    "a_sum_in_keras_3": with_layer({"module": "keras.src.ops.numpy", "class_name": "Add", "registered_name": "Add", "config": {"name": "add"}}),
    "a_product_in_keras_2": with_layer({"module": "tf_keras.src.layers.core.tf_op_layer", "class_name": "TFOpLambda", "registered_name": "TFOpLambda", "config": {"function": "math.multiply"}}),
    "an_h5_without_modules": {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"name": "d"}}]}},
}  # fmt: skip

CODE = {
    "lambda": ({"module": "keras.layers", "class_name": "Lambda", "config": {"name": "twice", "function": "x"}}, r"a Lambda \('twice'\), which is code"),
    "lambda_as_a_part": ({**LSTM, "config": {"activation": {"class_name": "__lambda__", "config": {"value": "code"}}}}, "a Lambda, which is code"),
    "class_of_somebody": ({"module": None, "class_name": "MyLSTM", "registered_name": "Custom>MyLSTM", "config": {}}, "'MyLSTM', registered as 'Custom>MyLSTM'"),
    "class_of_somebody_in_an_h5": ({"class_name": "Custom>MyLSTM", "config": {"name": "mine"}}, "'Custom>MyLSTM' .'mine'., which is not among"),
    "keras_name_registered_by_somebody": ({**LSTM, "registered_name": "Custom>LSTM"}, "'LSTM' .'lstm'., registered as 'Custom>LSTM'"),
    "keras_name_in_another_module": ({**LSTM, "module": "somebody.layers"}, "of the module 'somebody.layers'"),
    "module_that_begins_like_keras": ({**LSTM, "module": "kerasx.layers"}, "of the module 'kerasx.layers'"),
    "fetches": ({"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://x"}}, "'get_file', which is not among"),
    "reads_a_file": ({"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, "'StringLookup'"),
    "unpickles": ({"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "x"}}, "'TorchModuleWrapper'"),
    "operation_that_maps_a_function": ({"module": "keras.src.ops.core", "class_name": "Map", "config": {}}, "'Map'"),
    "writes_a_file": ({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}, "a call of TensorFlow's 'io.write_file'"),
    "calls_python": ({"class_name": "TFOpLambda", "config": {"function": "py_function"}}, "a call of TensorFlow's 'py_function'"),
    "function": ({**LSTM, "config": {"activation": {"module": "builtins", "class_name": "function", "config": "f", "registered_name": "function"}}}, "the class 'function'"),
    "no_text": ({"class_name": ["LSTM"], "config": {}}, "a class called"),
}  # fmt: skip


@pytest.mark.parametrize("config", ALLOWED.values(), ids=ALLOWED)
def test_what_is_kerass_own_may_be_loaded(config):
    refuse_code(json.loads(json.dumps(config)))


@pytest.mark.parametrize(("layer", "words"), CODE.values(), ids=CODE)
def test_what_would_run_open_or_fetch_is_refused_and_named(layer, words):
    for config in (
        with_layer(layer),
        {**MODEL, "config": {"layers": [{"class_name": "Sequential", "config": [layer]}]}},
    ):
        with pytest.raises(CheckpointRefused, match=words) as refused:
            refuse_code(config)
        assert "save the weights alone" in refused.value.hint


def test_the_model_itself_is_held_against_the_list_too():
    with pytest.raises(CheckpointRefused, match=r"'Mine' \('m'\), registered as 'Custom>Mine'"):
        refuse_code({**MODEL, "class_name": "Mine", "registered_name": "Custom>Mine"})
