"""The hand-written reference for a problem: choose the layer of ``reference_impls`` for its cell, and run it.

No other module of the harness runs those layers, so both directions and unequal lengths work for every caller. A
contract of import-linter in pyproject.toml checks this and names the exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from numpy import ndarray

from harness.problem import Problem
from harness.tensors import Structure
from reference_impls import network
from reference_impls.activations import ACTIVATIONS, Activation
from reference_impls.bidirectional import both_ways
from reference_impls.layer import AnyLayer
from reference_impls.lengths import of_lengths

Form = Literal["split", "concatenated"]


def cell_of(structure: Structure, form: Form = "split") -> AnyLayer:
    """Return the layer of a structure's cell in one direction, with split or with concatenated weights."""
    split = form == "split"
    if structure.cell == "rnn":
        from reference_impls import rnn_concatenated, rnn_split

        return rnn_split if split else rnn_concatenated
    if structure.cell == "lstm":
        from reference_impls import lstm_concatenated, lstm_split

        return lstm_split if split else lstm_concatenated
    from reference_impls import gru_concatenated, gru_split

    return (gru_split.RESETS if split else gru_concatenated.RESETS)[structure.reset]


def layer_of(structure: Structure, form: Form = "split", lengths: ndarray | None = None) -> AnyLayer:
    """Return a structure's layer: its cell, run to each sequence's own end, in both directions if it is bidirectional.

    Args:
        structure: The network.
        form: The derivation, split or concatenated.
        lengths: The number of steps of each sequence, (B,); None if all have T.
    """
    layer = cell_of(structure, form)
    if structure.directions == 2:
        layer = both_ways(layer)
    return layer if lengths is None else of_lengths(layer, lengths)


def activations_of(
    problem: Problem, named: Callable[[str], Activation] = ACTIVATIONS.__getitem__
) -> dict[str, Activation]:
    """Return the arguments of the layer's ``forward`` that are nonlinearities; ``named`` returns one by its name."""
    found = {"activation": named(problem.case.activation)}
    return found if problem.structure.cell == "rnn" else found | {"gate_activation": named("sigmoid")}


def forward(
    problem: Problem, activations: Mapping[str, Activation] | None = None, form: Form = "split"
) -> network.ForwardPass:
    """Run the reference forward, on arrays of NumPy's floats or of objects that add and multiply.

    Args:
        problem: The problem, in the layout ``form``.
        activations: Nonlinearities as ``activations_of`` returns them; those of the case if None.
        form: The derivation, split or concatenated.
    """
    layer = layer_of(problem.structure, form, problem.lengths)
    chosen: Mapping[str, Any] = activations or activations_of(problem)
    return network.forward(layer, problem.weights, problem.inputs, problem.initial_state, **chosen)


def backward(
    problem: Problem, passed: network.ForwardPass, d_outputs: ndarray, form: Form = "split"
) -> dict[str, ndarray]:
    """Return every gradient by name: d_outputs, (B, T, D·H) or (B, T, O), carried back through a forward pass."""
    layer = layer_of(problem.structure, form, problem.lengths)
    return network.backward(layer, problem.weights, passed, d_outputs, problem.truncation)


def solve(problem: Problem, form: Form = "split") -> dict[str, ndarray]:
    """Run the reference on a problem, in the dtype of its arrays.

    Args:
        problem: The problem, in the layout ``form``.
        form: The derivation, split or concatenated.

    Returns:
        ``loss`` of shape (), ``outputs``, and every gradient by its name in that layout.
    """
    if problem.recurrence is not None:
        from harness.derive.recording import recorded
        from harness.derive.reverse import backward as reverse_pass

        graph, answers, ends = recorded(problem.calculation)
        return {**answers, **reverse_pass(graph, ends)}
    passed = forward(problem, form=form)
    loss, d_outputs = problem.loss(passed.outputs)
    return {"loss": loss, "outputs": passed.outputs, **backward(problem, passed, d_outputs, form)}
