"""ONNX's reference evaluator: its answers, the parts of the standard that it lacks, and a wrong layout."""

import numpy as np
import pytest

from harness import Unsupported
from harness.case import Loss, Sizes, ValidCase
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations
from harness.layout import onnx as layout
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run

pytestmark = pytest.mark.framework("onnx")
NUMBERS = {"normal": 1.0, "seed": 3}
B, T, I, H = 2, 4, 3, 5


@pytest.fixture(scope="module", autouse=True)
def onnx():
    import onnx

    return onnx


def problem_of(**fields):
    given = {"loss": Loss("dot"), "upstream": NUMBERS, "cell": "lstm", **fields}
    case = ValidCase(
        name="any",
        file="any",
        sizes=Sizes(B, T, I, H, fields.get("readout") and 7),
        weights={"uniform": (-0.9, 0.9), "seed": 1},
        inputs=NUMBERS,
        initial_state=NUMBERS,
        **given,
    )
    return build(case, None)


def compared(problem):
    actual, expected = (run(implementations()[name], problem) for name in ("onnx", "numpy-split"))
    return compare_for(problem, actual, expected, rounding_noise(problem), Promise(complete=False))


@pytest.mark.parametrize(
    "fields",
    [
        {"cell": "rnn", "bidirectional": True},
        {"cell": "rnn", "activation": "identity", "bidirectional": True},
        {"bidirectional": True, "layers": 2},
        {"cell": "gru", "reset": "after", "bidirectional": True},
        {"cell": "gru", "reset": "before", "layers": 2, "dtype": "float32"},
        {"readout": "linear", "loss": Loss("softmax_cross_entropy", (1, 3), "mean"), "targets": {"fill": 6}},
        {"readout": "linear", "loss": Loss("squared_error", (1, 3), "mean"), "targets": NUMBERS},
    ],
    ids=["rnn", "identity", "lstm", "reset after", "reset before", "labels", "squares"],
)
def test_outputs_and_loss_agree_to_the_level_of_rounding(fields):
    comparison = compared(problem_of(**fields))
    assert comparison.matches, str(comparison)
    assert {"loss", "outputs"} <= {each.tensor for each in comparison.tensors}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gates_in_another_order_are_found(monkeypatch, cell):
    order = layout.ORDERS[cell]
    monkeypatch.setitem(layout.ORDERS, cell, (order[1], order[0], *order[2:]))
    assert not compared(problem_of(cell=cell, reset="after" if cell == "gru" else None)).matches


def test_a_sequence_of_its_own_length_is_refused():
    with pytest.raises(Unsupported, match="sequence_lens"):
        run(implementations()["onnx"], problem_of(lengths=(4, 2)))


def evaluated(onnx, kind, given, outputs=("Y",), opset=22, **attributes):
    """Return the evaluator's outputs of a node; ``given`` is by name, in the node's order, None if omitted."""
    from onnx.reference import ReferenceEvaluator

    helper = onnx.helper
    there = {name: np.asarray(each) for name, each in given.items() if each is not None}
    node = helper.make_node(kind, [name if name in there else "" for name in given], list(outputs), **attributes)
    described = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(each.dtype), each.shape)
        for name, each in there.items()
    ]
    returned = [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in outputs]
    model = helper.make_model(
        helper.make_graph([node], "one", described, returned), opset_imports=[helper.make_opsetid("", opset)]
    )
    return ReferenceEvaluator(model).run(None, there)


def weights(gates):
    random = np.random.default_rng(0)
    shapes = {"X": (T, B, I), "W": (1, gates * H, I), "R": (1, gates * H, H)}
    return {name: random.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("LSTM", 4), ("GRU", 3)])
def test_the_evaluator_still_passes_over_the_lengths(onnx, kind, gates):
    """If this fails, ``onnx`` can have cases with lengths."""
    given = weights(gates) | {"B": None}
    (shortened,) = evaluated(onnx, kind, given | {"sequence_lens": np.array([4, 2], np.int32)}, hidden_size=H)
    (whole,) = evaluated(onnx, kind, given, hidden_size=H)
    np.testing.assert_array_equal(shortened, whole)


def test_the_evaluator_still_lacks_relu_and_sigmoid(onnx):
    """If this fails, ``onnx`` can have cases with them."""
    for activation in ("Relu", "Sigmoid"):
        with pytest.raises(RuntimeError, match="Unknown activation"):
            evaluated(onnx, "RNN", weights(1), hidden_size=H, activations=[activation])


def test_the_evaluators_own_cross_entropy_still_takes_the_logarithm_of_zero(onnx):
    """If this fails, ``onnx`` can have it for its loss."""
    given = {"scores": np.array([[0.0, -800.0]]), "labels": np.array([1])}
    with np.errstate(divide="ignore"):
        (loss,) = evaluated(onnx, "SoftmaxCrossEntropyLoss", given, ("loss",))
    assert loss == np.inf
