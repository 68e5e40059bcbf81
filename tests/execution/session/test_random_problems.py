"""Right answers must match, whatever the problem: random ones, harder than the cases."""

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run

PROBLEMS = 250


def random_case(random, number):
    def choose(*options):
        return options[random.integers(len(options))]

    kind, readout, seed = choose("squared_error", "softmax_cross_entropy", "dot"), choose("none", "linear"), number
    time, hidden, output = choose(1, 2, 3, 5, 8, 20, 50), int(random.integers(1, 9)), int(random.integers(1, 7))
    width = output if readout == "linear" else hidden
    numbers = {"normal": 1.0, "seed": seed}
    cell = choose("rnn", "rnn", "lstm", "gru")
    of_rnn = choose("tanh", "sigmoid") if time > 8 else choose("tanh", "relu", "sigmoid", "identity")
    weights = choose({"uniform": (-1.0, 1.0), "seed": seed}, {"normal": float(random.uniform(0.1, 1.5)), "seed": seed})
    return ValidCase(
        name=f"random{number}",
        file="random",
        cell=cell,
        reset=choose("after", "before") if cell == "gru" else None,
        # With relu and identity, random weights and many steps overflow; that has cases of its own.
        activation=of_rnn if cell == "rnn" else "tanh",
        layers=int(random.integers(1, 4)),
        sizes=Sizes(
            int(random.integers(1, 5)),
            time,
            int(random.integers(1, 7)),
            hidden,
            output if readout == "linear" else None,
        ),
        readout=readout,
        dtype=choose("float32", "float64"),
        weights=weights,
        inputs=numbers,
        initial_state=numbers,
        loss=Loss(kind, choose("all", (int(random.integers(time)),)), choose("sum", "mean")),
        targets={"uniform": (0, width), "seed": seed} if kind == "softmax_cross_entropy" else None,
        upstream=numbers if kind == "dot" else None,
        truncation=choose(
            "none",
            {"kind": "detach", "every": int(random.integers(1, time + 2))},
            {"kind": "window", "steps": int(random.integers(time + 1))},
        ),
    )


@pytest.fixture(scope="module")
def problems():
    """Each problem with the right answer and its rounding noise, which take longer than any answer in question."""
    random = np.random.default_rng(7)
    each = [build(random_case(random, number), None) for number in range(PROBLEMS)]
    right = implementations()["numpy-split"]
    return [(problem, run(right, problem), rounding_noise(problem)) for problem in each]


@pytest.mark.framework
@pytest.mark.parametrize("name", ["numpy-concat", "torch", "torch-cell"])
def test_right_answers_to_random_problems_match(workers, problems, name):
    compared = 0
    for problem, expected, noise in problems:
        outcome = workers.run(implementations()[name], problem)
        if outcome.status == "unsupported":
            continue
        comparison = compare_for(problem, outcome.result, expected, noise, Promise(complete=True))
        assert comparison.matches, f"{problem.case}: {comparison}"
        compared += 1
    assert compared > PROBLEMS / 3


@pytest.mark.parametrize("factor", [1.01, 0.5, -1.0, 0.0], ids=str)
def test_wrong_answers_to_random_problems_do_not(factor):
    """Scaling one tensor by ``factor`` is found wherever the tensor is not ill-conditioned or zero."""
    random = np.random.default_rng(8)
    reference = implementations()["numpy-split"]
    looked = 0
    for number in range(60):
        problem = build(random_case(random, number), None)
        expected, noise = run(reference, problem), rounding_noise(problem)
        names = list(expected.gradients)
        changed = names[random.integers(len(names))]
        actual = {**expected.tensors, changed: expected.tensors[changed] * factor}
        actual = {name: array.astype(expected.tensors[name].dtype) for name, array in actual.items()}
        comparison = compare_for(problem, actual, expected, noise, Promise(complete=True))
        tensor = next(each for each in comparison.tensors if each.tensor == changed)
        if tensor.bound.ill_conditioned or not expected.tensors[changed].any():
            continue
        looked += 1
        assert tensor.verdict == "mismatch", f"{problem.case}: {tensor}"
        assert sum(each.verdict != "match" for each in comparison.tensors) == 1
    assert looked > 50
