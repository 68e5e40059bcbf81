"""``onnx``: RNN, LSTM or GRU nodes and the loss as an ONNX model, run by ONNX's reference evaluator; forward alone.

The evaluator implements the standard in NumPy. It ignores parts of it in silence: ``sequence_lens``, and the
activations of LSTM and GRU. For RNN it has the activations Tanh and Affine, which with 1 and 0 is the identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from harness.implementations.base import Framework, Returned, Unsupported, implementation
from harness.problem import Problem
from harness.tensors import STATES

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

ONNX = Framework("onnx", ("onnx",), install="onnx")

NODES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
"""The name of each cell's node."""

OPSET = 22
"""The newest version of the standard that changed these nodes."""


@implementation(
    "onnx", layout="onnx", framework=ONNX, supports={"cell": tuple(NODES), "activation": ("tanh", "identity")}
)
def onnx_nodes(problem: Problem) -> Returned:
    """ONNX's RNN, LSTM or GRU nodes by its reference evaluator: outputs and loss, no gradients."""
    from onnx.reference import ReferenceEvaluator

    if problem.lengths is not None:
        raise Unsupported("ONNX's reference evaluator ignores sequence_lens")
    with np.errstate(over="ignore"):  # its sigmoid is 1 / (1 + exp(-a)), which is right where exp overflows, too
        outputs, loss = ReferenceEvaluator(model_of(problem)).run(None, _given(problem))
    return {"outputs": outputs, "loss": loss}


def _given(problem: Problem) -> dict[str, ndarray]:
    """Return the inputs of the model by name."""
    structure = problem.structure
    targets = problem.targets[problem.covered]  # (N, O), or of labels (N,)
    given = {"inputs": problem.inputs, "covered": problem.covered.ravel(), "axis": np.array([1])}
    given["targets"] = targets if targets.ndim == 2 else targets[:, None]
    given |= {f"{name}.shape": np.array(shape) for name, shape in _shapes(problem).items()}
    for n in range(structure.layers):
        for state in STATES[structure.cell]:
            both = [problem.initial_state[f"{block}.{state}"] for block in structure.blocks_of(n)]  # (B, H) each
            given[f"layer{n}.{state}"] = np.stack(both, 1)  # (B, D, H)
    return given | dict(problem.weights)


def _shapes(problem: Problem) -> dict[str, tuple[int, ...]]:
    """Return the shapes for the model's Reshape nodes: the input of the next layer, and the loss's rows."""
    B, T, O = problem.structure.outputs
    return {"below": (B, T, problem.structure.state_width), "rows": (B * T, O)}


def model_of(problem: Problem) -> ModelProto:
    """Return a problem's network and loss as a model from its arrays by name to ``outputs`` and ``loss``."""
    from onnx import helper

    structure, given = problem.structure, _given(problem)
    nodes: list[NodeProto] = []

    def add(kind: str, given: list[str], result: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, given, [result], **attributes))
        return result

    below = "inputs"
    for n in range(structure.layers):
        weights = [f"layer{n}.{name}" for name in ("W", "R", "B")]
        states = [f"layer{n}.{name}" for name in STATES[structure.cell]]
        Y = add(NODES[structure.cell], [below, *weights, "", *states], f"layer{n}.Y", **_attributes(problem))
        below = add("Reshape", [Y, "below.shape"], f"layer{n}.outputs")  # (B, T, D, H) → (B, T, D·H)
    if structure.output is not None:
        product = add("MatMul", [below, "readout.W"], "readout.product")
        below = add("Add", [product, "readout.B"], "readout.outputs")  # (B, T, O)
    outputs = add("Identity", [below], "outputs")
    flat = add("Reshape", [outputs, "rows.shape"], "rows")  # (B·T, O)
    covered = add("Compress", [flat, "covered"], "rows.covered", axis=0)  # (N, O)
    _add_loss(problem, add, covered)

    def described(name: str) -> Any:
        array = given[name]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)

    of_dtype = helper.np_dtype_to_tensor_dtype(problem.inputs.dtype)
    results = [helper.make_tensor_value_info(name, of_dtype, None) for name in ("outputs", "loss")]
    graph = helper.make_graph(nodes, "network", [described(name) for name in given], results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])


def _attributes(problem: Problem) -> dict[str, Any]:
    """Return the attributes of the recurrent nodes."""
    structure, D = problem.structure, problem.structure.directions
    attributes: dict[str, Any] = {
        "hidden_size": structure.hidden,
        "direction": "forward" if D == 1 else "bidirectional",
        "layout": 1,  # batch first
    }
    if structure.cell == "gru":
        attributes["linear_before_reset"] = int(structure.reset == "after")
    elif problem.case.activation == "identity":
        attributes |= {"activations": ["Affine"] * D, "activation_alpha": [1.0] * D, "activation_beta": [0.0] * D}
    return attributes


def _add_loss(problem: Problem, add: Any, rows: str) -> None:
    """Add the nodes of the loss of rows (N, O), whose result is ``loss``, of shape ()."""
    match problem.case.loss.kind:
        case "softmax_cross_entropy":
            # The evaluator's SoftmaxCrossEntropyLoss is log(softmax(a)), which is infinite if the softmax underflows.
            shifted = add("Sub", [rows, add("ReduceMax", [rows, "axis"], "largest")], "shifted")  # (N, O)
            of_all = add("ReduceLogSumExp", [shifted, "axis"], "of_all")  # (N, 1)
            of_label = add("GatherElements", [shifted, "targets"], "of_label", axis=1)  # (N, 1)
            terms = add("Sub", [of_all, of_label], "terms")  # (N, 1)
        case "squared_error":
            difference = add("Sub", [rows, "targets"], "difference")
            terms = add("Mul", [difference, difference], "terms")  # (N, O)
        case "dot":
            terms = add("Mul", [rows, "targets"], "terms")  # (N, O)
    add("ReduceSum" if problem.case.loss.reduction == "sum" else "ReduceMean", [terms], "loss", keepdims=0)
