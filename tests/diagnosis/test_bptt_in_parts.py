"""The network in parts is the reference; a fault of the forward pass has the gradient that is right for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.diagnosis.bptt import Network
from harness.diagnosis.cells import layer_kind
from harness.diagnosis.committing import kinds_of, right, suspects_of
from harness.diagnosis.faults import faults
from harness.diagnosis.faults.forward import NOT_PUT_BACK
from harness.diagnosis.wrapped import WrappedNetwork
from harness.implementations import implementations
from harness.result import run

from .conftest import CASES, WRAPPED, problem_of

ALL = {**CASES, **WRAPPED}

LEFT_OUT = {
    "bias-left-out": ".b_h",
    "initial-state-ignored": (".h0", ".c0"),
    "initial-cell-ignored": ".c0",
    "recurrent-bias-left-out": ".b_hn",
    "readout-bias-left-out": ".b_y",
}
"""Tensors that a fault does not use forward: they have no derivative, and the test leaves them out."""

NOT_ITS_OWN = {
    "softmax-twice-back-once",  # does not carry the gradient back through the first softmax
    "forward-activation-only",  # its backward pass is another's
    "forward-alone",  # so is its
    "initial-state-of-first-layer",  # has a gradient of the states that it does not use
    "state-of-layer-below",  # does not carry a gradient back from one layer's start to another's end
    "overflowing-exponential",  # has no gradient
    "padding-carried-back",  # has the loss of one gradient and the gradient of another loss
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("implementation", ["numpy-concat", "complex-step"])
def test_without_a_fault_it_is_the_reference(name, implementation):
    problem = problem_of(name)
    expected = run(implementations()[implementation], problem).tensors
    actual = right(problem).tensors()
    assert actual.keys() == expected.keys()
    for tensor in expected:
        np.testing.assert_allclose(
            actual[tensor], expected[tensor], rtol=0, atol=1e-13 * np.abs(expected[tensor]).max()
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_computes_in_the_dtype_that_it_is_given(dtype):
    for tensor in right(problem_of("squared-error", dtype)).tensors().values():
        assert tensor.dtype == dtype


def _left_as_it_is(suspect):
    """Return whether the gradient of a reordered tensor is not put back in order."""
    values = [str(value) for _, value in suspect.parameters]
    return "transposed back" in values or any(NOT_PUT_BACK in value.split() for value in values)


def forward_faults():
    seen = set()
    for case in ALL:
        for name, fault in faults().items():
            # A truncated gradient is no derivative of the loss, unless nothing depends on what is cut off.
            derivative = ALL[case].truncation == "none" or name == "chunks-from-zero"
            own = case in CASES or issubclass(fault, WrappedNetwork)  # the others are held on those in parts
            if fault.alters_forward and derivative and own and name not in NOT_ITS_OWN:
                for suspect in suspects_of(fault, problem_of(case)):
                    if suspect.layer is None and not _left_as_it_is(suspect):
                        values = "-".join(str(value) for _, value in suspect.parameters)
                        kind = name, ALL[case].cell  # of which make test takes one
                        marks = [pytest.mark.full] if kind in seen else []
                        seen.add(kind)
                        yield pytest.param(case, suspect, id=f"{case}-{name}-{values}".rstrip("-"), marks=marks)


@pytest.mark.parametrize(("case", "suspect"), list(forward_faults()))
def test_a_forward_fault_has_its_own_right_gradient(case, suspect):
    """Central differences of the faulty forward pass, in a random direction of everything that goes in."""
    problem = problem_of(case)
    network, layers, _ = kinds_of((suspect,), problem)
    random = np.random.default_rng(7)
    directions = {name: random.normal(size=shape) for name, shape in problem.structure.gradients.items()}
    for name in directions:
        if name.endswith(LEFT_OUT.get(suspect.name, "nothing")):
            directions[name] *= 0
    given = {**problem.weights, **problem.initial_state, "inputs": problem.inputs}

    def tensors(step):
        moved = {name: given[name] + step * directions[name] for name in given}
        of_problem = replace(
            problem,
            weights={name: moved[name] for name in problem.weights},
            initial_state={name: moved[name] for name in problem.initial_state},
            inputs=moved["inputs"],
        )
        faulty = network(of_problem, layers)
        faulty.forward()
        return faulty.tensors()

    step = 1e-6
    difference = (tensors(step)["loss"] - tensors(-step)["loss"]) / (2 * step)
    gradient = sum(np.vdot(tensors(0.0)[name], directions[name]) for name in directions)
    assert gradient == pytest.approx(difference, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_what_is_taken_over_from_the_right_network_is_what_would_be_computed(name):
    problem = problem_of(name)
    true = right(problem)
    expected = true.tensors()
    anew = Network(problem, (layer_kind(problem.structure),) * problem.case.layers)
    for layer, model in zip(anew.layers, true.layers, strict=True):
        layer.cache, layer.model = model.cache, model
    anew.top, anew.outputs = true.top, true.outputs
    for tensor, values in anew.tensors().items():
        np.testing.assert_array_equal(values, expected[tensor])
