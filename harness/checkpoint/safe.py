"""The Keras configs that Keras may load: those that name only Keras' own layers and their parts.

Keras makes an object of every class that a config names. ``safe_mode`` refuses the code of a Lambda. It accepts
registered classes, and Keras' own classes that open files, fetch addresses or unpickle. A config is therefore compared
with a list before Keras loads it.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any

from harness.checkpoint.base import CheckpointRefused

_LAYERS = """
Sequential Functional Model InputLayer Input Dense EinsumDense Embedding Activation Masking SimpleRNN LSTM GRU RNN
Bidirectional TimeDistributed StackedRNNCells SimpleRNNCell LSTMCell GRUCell CuDNNLSTM CuDNNGRU ConvLSTM1D
ConvLSTM2D ConvLSTM3D Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose Convolution1D
Convolution2D SeparableConv1D SeparableConv2D DepthwiseConv1D DepthwiseConv2D MaxPooling1D MaxPooling2D MaxPooling3D
AveragePooling1D AveragePooling2D AveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D BatchNormalization LayerNormalization
GroupNormalization UnitNormalization RMSNormalization SpectralNormalization Dropout SpatialDropout1D
SpatialDropout2D SpatialDropout3D GaussianDropout GaussianNoise AlphaDropout ActivityRegularization
MultiHeadAttention GroupQueryAttention Attention AdditiveAttention Reshape Flatten Permute RepeatVector Cropping1D
Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D Concatenate
Add Subtract Multiply Average Maximum Minimum Dot Identity ReLU LeakyReLU PReLU ELU ThresholdedReLU Softmax
Rescaling Normalization Discretization CategoryEncoding
"""
LAYERS = frozenset(_LAYERS.split())

_PARTS = """
Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal VarianceScaling Orthogonal OrthogonalInitializer
Identity IdentityInitializer GlorotUniform GlorotNormal HeUniform HeNormal LecunUniform LecunNormal STFT L1 L2 L1L2
OrthogonalRegularizer MaxNorm NonNeg UnitNorm MinMaxNorm SeedGenerator DTypePolicy FloatDTypePolicy
QuantizedDTypePolicy Policy TensorShape __tensor__ __keras_tensor__ __numpy__ __tuple__ __ellipsis__ __slice__
__complex__
"""
PARTS = frozenset(_PARTS.split())
"""Initialisers, regularisers, constraints, policies of dtypes, and values."""

MODULE = re.compile(r"(?:keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(?:\.\w+)*|builtins")
OPERATIONS = re.compile(r"keras\.src\.ops\.(?:numpy|math|nn|linalg)")
"""Modules of Keras 3 with classes for operations on tensors: ``a + b`` in a model is one."""

FUNCTIONS = re.compile(r"(?:math|__operators__|nn)\.\w+|(?:concat|reshape|expand_dims|squeeze|cast|stack|transpose)")
"""Functions of TensorFlow that Keras 2 may call by name, in a TFOpLambda: ``a + b`` in a model is one."""

CALLS = ("TFOpLambda", "SlicingOpLambda")
"""The classes by which Keras 2 calls a function of TensorFlow: ``a + b`` and ``a[:, ::-1]`` in a model."""

MOST = 1_000_000
"""Maximum of mappings and lists of a config."""


def refuse_code(config: Any) -> None:
    """Refuse a config that names anything but Keras' own layers and their parts.

    The settings of compilation are left out: a model is loaded without them.

    Raises:
        CheckpointRefused: if it names something else.
    """
    root = {key: value for key, value in config.items() if key != "compile_config"} if isinstance(config, dict) else {}
    waiting = deque[Any]([root])
    for _ in range(MOST):
        if not waiting:
            return
        each = waiting.popleft()  # a layer before its parts, so that the message names the layer
        if isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, dict):
            if "class_name" in each and (operation := _without_module(each)):
                raise CheckpointRefused(
                    f"has {operation} among its layers, an operation by its config; Keras cannot load it from an .h5; "
                    "a port has recurrent layers alone, without operations on their inputs and outputs",
                    "save the weights alone, by model.save_weights('model.weights.h5'), and port its layers one by one",
                )
            if "class_name" in each and (wrong := _unknown(each)):
                raise CheckpointRefused(
                    f"has {wrong}; Keras would run foreign code to load it",
                    "save the weights alone, by model.save_weights('model.weights.h5'), and port these",
                )
            waiting.extend(each.values())
    raise CheckpointRefused(f"has a config of more than {MOST:,} mappings and lists")


def _unknown(entry: dict[str, Any]) -> str:
    """Return the name in a mapping of a config that is none of Keras' own; empty if it is one of them."""
    kind, module, registered = entry["class_name"], entry.get("module"), entry.get("registered_name")
    config = entry.get("config")
    name = entry.get("name") or (config.get("name") if isinstance(config, dict) else None)
    called = f"{kind!r:.80}" + (f" ({name!r:.80})" if isinstance(name, str) else "")
    if not isinstance(kind, str):
        return f"a class called {called}"
    if kind in ("Lambda", "__lambda__"):
        return f"a Lambda{called.removeprefix(repr(kind))}, which is code"
    if kind in CALLS:
        function = config.get("function") if isinstance(config, dict) else None
        known = isinstance(function, str) and FUNCTIONS.fullmatch(function) is not None
        return "" if known else f"a call of TensorFlow's {function!r:.80}"
    if module is not None and (not isinstance(module, str) or MODULE.fullmatch(module) is None):
        return f"the class {called} of the module {module!r:.80}"
    if registered not in (None, "", kind):
        return f"the class {called}, registered as {registered!r:.80}"
    if isinstance(module, str) and OPERATIONS.fullmatch(module) is not None and re.fullmatch(r"[A-Z]\w*", kind):
        return ""
    return "" if kind in LAYERS or kind in PARTS else f"the class {called}, which is not among Keras' own layers"


def operation_of(entry: Any) -> str | None:
    """Return the operation that an entry of a model's config is; None if it is a layer.

    Args:
        entry: one for which ``refuse_code`` raises nothing.
    """
    kind, module, config = entry["class_name"], entry.get("module"), entry.get("config")
    if kind in CALLS:
        return str(config["function"])
    is_operation = isinstance(module, str) and OPERATIONS.fullmatch(module) is not None
    return str(kind) if is_operation else None


def _without_module(entry: dict[str, Any]) -> str:
    """Return the operation of Keras 3 in an entry of an ``.h5``; empty if it is none.

    An ``.h5`` names no modules. Every layer of Keras has ``trainable`` in its config, and no operation has it.
    """
    kind, config = entry["class_name"], entry.get("config")
    if not isinstance(kind, str) or not isinstance(config, dict) or "module" in entry:
        return ""
    if "inbound_nodes" not in entry or "trainable" in config or kind in LAYERS or kind in CALLS:
        return ""
    return f"{kind!r:.80} ({config.get('name')!r:.80})"
