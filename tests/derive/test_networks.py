"""One runner puts layers, directions, lengths, truncation, readout and loss around every step, in every namespace."""

from importlib import import_module
from itertools import product

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.derive import network
from harness.derive.guards import derivative_by_complex_step
from harness.derive.namespaces.numpy import xp
from harness.derive.operations import Carry
from harness.derive.recording import NetworkRecording
from harness.derive.reverse import backward, contribution
from harness.derive.stepping import Loop
from harness.precision.perturbations import directions
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.problem.reference import solve

UNITS = 4
"""Maximum distance from the reference by hand, in units of rounding noise."""

NUMBERS = {"normal": 0.7, "seed": 3}
TRUNCATIONS = ["none", {"kind": "detach", "every": 2}, {"kind": "window", "steps": 1}]


def problem_of(cell="rnn", *, layers=1, output=None, loss=None, dtype="float64", **fields):
    loss = loss or Loss("squared_error")
    targets = {"upstream" if loss.kind == "dot" else "targets": NUMBERS}
    if loss.kind == "softmax_cross_entropy":
        targets = {"targets": {"uniform": (0, output or 5), "seed": 1}}
    case = ValidCase(
        name="c",
        file="c",
        cell=cell,
        layers=layers,
        dtype=dtype,
        sizes=Sizes(3, 4, 2, 5, output),
        readout="none" if output is None else "linear",
        weights=NUMBERS,
        inputs=NUMBERS,
        initial_state=NUMBERS,
        loss=loss,
        **targets,
        **fields,
    )
    return build(case, None)


def recorded(problem, contributed=contribution):
    recording = NetworkRecording(problem.network)
    return {**recording.answers, **backward(recording, recording.ends, contributed)}


def units(problem, found):
    expected, noise = solve(problem), rounding_noise(problem)
    assert found.keys() == expected.keys()
    assert {name: each.shape for name, each in found.items()} == {name: each.shape for name, each in expected.items()}
    eps = np.finfo(problem.case.dtype).eps
    return max(
        np.abs(found[name] - each).max() / max(noise[name], eps * np.abs(each).max(), 1e-300)
        for name, each in expected.items()
    )


CELLS = [("rnn", "after"), ("lstm", "after"), ("gru", "after"), ("gru", "before")]
SHAPES = {
    "plain": {},
    "layers and readout": {"layers": 2, "output": 4},
    "both directions": {"layers": 2, "bidirectional": True},
    "lengths": {"layers": 2, "output": 3, "lengths": (4, 2, 1)},
    "both directions and lengths": {"layers": 2, "bidirectional": True, "lengths": (3, 1, 2)},
    "relu": {"activation": "relu"},
    "identity": {"activation": "identity", "layers": 2},
    "labels": {"loss": Loss("softmax_cross_entropy", reduction="mean"), "output": 4, "lengths": (4, 2, 1)},
    "dot, two steps": {"loss": Loss("dot", steps=(0, -1), reduction="mean")},
}


@pytest.mark.parametrize(
    ("cell", "reset", "shape"),
    [(*cell, shape) for cell in CELLS for shape in SHAPES if cell[0] == "rnn" or "activation" not in SHAPES[shape]],
)
def test_the_derived_pass_is_the_one_by_hand(cell, reset, shape):
    for dtype in ("float64", "float32"):
        problem = problem_of(cell, reset=reset, dtype=dtype, **SHAPES[shape])
        found = recorded(problem)
        assert {str(each.dtype) for each in found.values()} == {dtype}
        assert units(problem, found) < UNITS


@pytest.mark.parametrize("lengths", [None, (4, 2, 1)], ids=str)
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=str)
@pytest.mark.parametrize(("cell", "reset"), CELLS)
def test_a_truncated_gradient_is_the_one_by_hand(cell, reset, truncation, lengths):
    problem = problem_of(cell, reset=reset, truncation=truncation, lengths=lengths, layers=2, output=3)
    assert units(problem, recorded(problem)) < UNITS


FRAMEWORKS = [pytest.param(each, marks=pytest.mark.framework(each)) for each in ("torch", "jax", "tensorflow")]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    ("cell", "shape"),
    [("rnn", "relu"), ("lstm", "lengths"), ("gru", "labels"), ("lstm", "both directions and lengths")],
)
def test_frameworks_run_the_same_network(framework, cell, shape):
    problem = problem_of(cell, **SHAPES[shape])
    found = import_module(f"harness.derive.namespaces.{framework}").gradients(problem.network)
    assert units(problem, found) < UNITS


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("truncation", TRUNCATIONS[1:], ids=str)
def test_frameworks_truncate_alike(framework, truncation):
    problem = problem_of("gru", reset="before", truncation=truncation, layers=2, output=2)
    found = import_module(f"harness.derive.namespaces.{framework}").gradients(problem.network)
    assert units(problem, found) < UNITS


@pytest.mark.parametrize("shape", ["labels", "both directions and lengths"])
def test_complex_numbers_through_the_network_give_its_derivative(shape):
    problem = problem_of("lstm", **SHAPES[shape])
    found = recorded(problem)
    (along,) = directions(problem.structure, 1)
    expected = sum(float((found[name] * v).sum()) for name, v in along.items())
    assert derivative_by_complex_step(problem.network, along) == pytest.approx(expected, rel=1e-13)


def test_longdouble_stays():
    problem = problem_of("gru", output=3, loss=Loss("softmax_cross_entropy")).as_dtype(np.longdouble)
    found = recorded(problem)
    assert {each.dtype for each in found.values()} == {np.dtype(np.longdouble)}
    plain = problem.network.answers(Loop(xp))
    np.testing.assert_array_equal(plain["outputs"], found["outputs"])


def test_numbers_where_the_loss_does_not_look_have_no_effect():
    problem = problem_of(lengths=(4, 2, 1), output=3, loss=Loss("squared_error", steps=(1, 3)))
    expected = recorded(problem)
    problem.targets.setflags(write=True)
    problem.targets[~problem.covered] = np.nan
    for name, each in recorded(problem).items():
        np.testing.assert_array_equal(each, expected[name])


def test_each_node_knows_its_part_step_and_line():
    problem = problem_of("lstm", layers=2, bidirectional=True, output=3, lengths=(4, 4, 2))
    recording = NetworkRecording(problem.network)
    assert recording.losses.block == "loss"
    made = [node for node in recording.tape.nodes if node.operation is not None and node.site.line]
    steps = range(problem.structure.time)
    blocks = [*problem.structure.blocks, *network.OUTER]
    assert {(node.block, node.t) for node in made} == set(product(blocks, steps))
    step = problem.network.network.step.step.__code__
    lines = {number for _, _, number in step.co_lines() if number}
    assert {node.site.line for node in made if node.block not in network.OUTER} <= lines
    by_block = {block: [node.site for node in made if node.block == block and node.t == 1] for block in blocks}
    assert len({tuple(by_block[block]) for block in problem.structure.blocks}) == 1
    assert [(visit.block, visit.t) for visit in recording.visits[:8]] == [
        *(("layer0", t) for t in steps),
        *(("layer0.reverse", t) for t in steps[::-1]),
    ]


WRONG = {
    "a factor in the readout": lambda node: 1.01 if node.block == "readout" else 1,
    "a factor in the loss": lambda node: 1.01 if node.block == "loss" and node.t == 1 else 1,
    "a state that is not carried back": lambda node: (
        0 if node.block == "layer0.reverse" and isinstance(node.operation, Carry) and node.t == 1 else 1
    ),
    "a line of one layer": lambda node: 1.01 if node.block == "layer1" and node.operation.name == "tanh" else 1,
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_contribution_is_seen(mistake):
    problem = problem_of("lstm", layers=2, bidirectional=True, output=3)

    def contributed(node, k, g):
        return contribution(node, k, g) * WRONG[mistake](node)

    assert units(problem, recorded(problem, contributed)) > 1e6
