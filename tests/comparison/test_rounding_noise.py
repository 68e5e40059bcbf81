"""The measured rounding noise: small where a problem is well-conditioned, large where it is not, the same each time."""

from itertools import pairwise

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.comparison import ComparisonPolicy, compare
from harness.implementations import implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import Problem, build
from harness.problem.reference import forward, solve
from harness.result import run

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def make_problem(**fields):
    defaults = {
        "name": "noise",
        "file": "none",
        "sizes": Sizes(batch=3, time=4, input=2, hidden=5),
        "weights": {"uniform": (0.05, 0.3), "seed": 1},
        "inputs": {"uniform": (0.1, 0.5), "seed": 2},
        "initial_state": {"uniform": (0.1, 0.5), "seed": 3},
        "loss": Loss(kind="dot"),
        "upstream": {"uniform": (0.5, 1.0), "seed": 4},
    }
    return build(ValidCase(**{**defaults, **fields}), None)


def relative_noise(problem):
    """Each tensor's noise in units of eps times its largest element, where it has any but zeros."""
    tensors, noise = run(implementations()["numpy-split"], problem).tensors, rounding_noise(problem)
    assert noise.keys() == tensors.keys()
    eps = EPS[problem.case.dtype]
    return {name: noise[name] / (eps * np.abs(tensor).max()) for name, tensor in tensors.items() if tensor.any()}


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "identity"])
@pytest.mark.parametrize("layers", [1, 3])
def test_where_nothing_cancels_it_is_a_few_eps_of_the_largest_element(dtype, activation, layers):
    for name, units in relative_noise(make_problem(dtype=dtype, activation=activation, layers=layers)).items():
        assert units < 30, name
        assert units > 0.1 or name == "loss", name  # of a single number, all draws may round away


@pytest.mark.parametrize("dtype", EPS)
def test_it_grows_as_much_as_the_terms_of_a_sum_cancel(dtype):
    """The bias gradient of a linear layer without recurrence is Σ u: here the sum of 1 and −1 + 2⁻ᵏ."""
    found = []
    for k in (4, 10, 16):
        problem = make_problem(
            dtype=dtype,
            activation="identity",
            sizes=Sizes(batch=1, time=2, input=1, hidden=1),
            weights="zeros",
            upstream={"values": [[[1.0], [-1.0 + 2.0**-k]]]},
        )
        noise = rounding_noise(problem)["layer0.b_h"]
        assert 0.5 * EPS[dtype] <= noise <= 4 * EPS[dtype]
        found.append(relative_noise(problem)["layer0.b_h"])
    assert found[1] / found[0] == pytest.approx(2**6, rel=0.5)
    assert found[2] / found[1] == pytest.approx(2**6, rel=0.5)


def test_it_sees_outputs_that_are_nearly_the_targets():
    """The gradient of a squared error is a difference of two numbers near each other."""
    problem = make_problem(upstream=None, loss=Loss("squared_error"))
    outputs = run(implementations()["numpy-split"], problem).outputs
    near = make_problem(upstream=None, loss=Loss("squared_error"), targets={"values": (outputs * (1 + 1e-9)).tolist()})
    assert max(relative_noise(problem).values()) < 30
    for name, units in relative_noise(near).items():
        assert name == "outputs" or units > 1e7, name


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_it_sees_a_softmax_that_is_sure_of_its_label(reduction):
    sizes = Sizes(batch=1, time=1, input=1, hidden=2)
    weights = {"layer0.W_xh": {"values": [[18.0, -18.0]]}, "default": "zeros"}
    loss = Loss("softmax_cross_entropy", "all", reduction)
    fields = {"activation": "identity", "sizes": sizes, "inputs": "ones", "upstream": None, "loss": loss}
    sure = make_problem(weights=weights, **fields)
    assert sure.targets.tolist() == [[0]]
    assert relative_noise(sure)["layer0.b_h"] > 0.01 / np.exp(-36.0)
    assert rounding_noise(sure)["layer0.b_h"] <= 100 * EPS["float64"]
    # The loss is log(1 + e⁻³⁶): what a rounding of the 1 is to it.
    assert 0.5 * EPS["float64"] <= rounding_noise(sure)["loss"] <= 100 * EPS["float64"]
    wrong = make_problem(weights=weights, **fields, targets="ones")
    assert relative_noise(wrong)["layer0.b_h"] < 10


def test_it_grows_with_every_step_of_a_chaotic_recurrence():
    found = []
    for T in (1, 20, 40, 80):
        sizes = Sizes(batch=1, time=T, input=1, hidden=32)
        found.append(relative_noise(make_problem(sizes=sizes, weights={"normal": 0.6, "seed": 1}))["outputs"])
    assert found[0] < 10
    assert all(later > 5 * earlier for earlier, later in pairwise(found))
    calm = make_problem(sizes=Sizes(batch=1, time=80, input=1, hidden=32), weights={"normal": 0.1, "seed": 1})
    assert relative_noise(calm)["outputs"] < 30


def test_it_is_deterministic_and_takes_no_part_in_global_randomness():
    problem = make_problem(layers=2)
    np.random.seed(1)
    first = rounding_noise(problem)
    state = np.random.get_state()[1].copy()
    np.random.seed(2)
    assert rounding_noise(problem) == first
    np.random.seed(1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert rounding_noise(make_problem(layers=2)) == first


def test_the_problem_is_left_as_it_was():
    problem = make_problem(layers=2, activation="identity")
    arrays = [*problem.weights.values(), *problem.initial_state.values(), problem.inputs, problem.targets]
    for array in arrays:
        array.setflags(write=False)
    assert all(each > 0 for each in rounding_noise(problem).values())


def seen_targets(monkeypatch, problem):
    seen = []
    original = Problem.loss

    def spy(self, outputs):
        seen.append(self.targets.copy())
        return original(self, outputs)

    monkeypatch.setattr(Problem, "loss", spy)
    rounding_noise(problem)
    assert len(seen) >= 3
    return seen


def test_labels_are_not_rounded_and_stay_whole_numbers(monkeypatch):
    labels = {"targets": {"uniform": (0, 5), "seed": 5}, "upstream": None, "loss": Loss("softmax_cross_entropy")}
    problem = make_problem(**labels)
    for targets in seen_targets(monkeypatch, problem):
        assert targets.dtype == np.int64
        np.testing.assert_array_equal(targets, problem.targets)


def test_targets_that_are_numbers_are_rounded_by_one_eps(monkeypatch):
    problem = make_problem(upstream=None, targets={"normal": 1.0, "seed": 5}, loss=Loss("squared_error"))
    exact, *rounded = seen_targets(monkeypatch, problem)
    np.testing.assert_array_equal(exact, problem.targets)
    for targets in rounded:
        off = np.abs(targets / problem.targets - 1)
        assert (off > 0).all()
        assert (off < 3 * EPS["float64"]).all()


def test_zeros_are_not_moved():
    noise = rounding_noise(make_problem(weights="zeros", inputs="zeros", initial_state="zeros"))
    assert (
        noise["outputs"] == noise["layer0.W_xh"] == noise["layer0.W_hh"] == noise["layer0.h0"] == noise["inputs"] == 0
    )
    assert noise["layer0.b_h"] > 0


def test_what_is_exact_has_the_noise_of_its_numbers_alone():
    """With one step, zero weights and identity, the gradient of the bias is the upstream gradient."""
    problem = make_problem(
        activation="identity",
        sizes=Sizes(batch=1, time=1, input=1, hidden=3),
        weights="zeros",
        upstream={"values": [[[1.0, -4.0, 2.0]]]},
    )
    assert rounding_noise(problem)["layer0.b_h"] == 4 * EPS["float64"]


@pytest.mark.parametrize("dtype", EPS)
def test_overflow_is_quiet_and_leaves_the_noise_finite(dtype):
    problem = make_problem(
        dtype=dtype, activation="identity", sizes=Sizes(batch=1, time=400, input=1, hidden=2), weights={"fill": 10.0}
    )
    noise = rounding_noise(problem)
    assert all(np.isfinite(each) and each >= 0 for each in noise.values())


def test_labels_of_steps_without_a_loss_have_no_say():
    fields = {"upstream": None, "loss": Loss("softmax_cross_entropy", (-1,), "sum")}
    sizes = Sizes(batch=1, time=2, input=1, hidden=3)
    clean, marked = (make_problem(**fields, sizes=sizes, targets={"values": [[ignored, 1]]}) for ignored in (0, 2))
    expected = run(implementations()["numpy-split"], clean).tensors
    for name, tensor in run(implementations()["numpy-split"], marked).tensors.items():
        np.testing.assert_array_equal(tensor, expected[name])
    assert rounding_noise(marked) == rounding_noise(clean)


def test_of_a_truncated_gradient_it_is_that_gradient_s_own():
    """A recurrence that triples the gradient each step: cut every two steps, next to nothing is left of its noise."""
    fields = {
        "activation": "identity",
        "sizes": Sizes(batch=1, time=24, input=1, hidden=1),
        "weights": {"layer0.W_hh": {"fill": 3.0}, "default": "ones"},
        "initial_state": "zeros",
        "inputs": {"fill": 1e-6},
    }
    in_full = rounding_noise(make_problem(**fields))["inputs"]
    for truncation in ({"kind": "detach", "every": 2}, {"kind": "window", "steps": 1}):
        problem = make_problem(**fields, truncation=truncation)
        noise = rounding_noise(problem)["inputs"]
        assert EPS["float64"] < noise < 1e-9 * in_full
        assert relative_noise(problem)["inputs"] < 30


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_many_terms_may_be_added_one_after_the_other(dtype):
    """Six thousand terms of one sign: NumPy adds the rows of a matrix in order, and is off by many roundings."""
    positive = {"uniform": (0.5, 1.0), "seed": 2}
    problem = make_problem(
        dtype=dtype,
        sizes=Sizes(batch=3, time=2000, input=2, hidden=4),
        weights={"uniform": (0.01, 0.1), "seed": 1},
        inputs=positive,
        upstream=positive,
    )
    in_order = solve(problem)
    delta = np.zeros((2000, 3, 4), dtype)
    states, d_state = forward(problem).caches[0].states, np.zeros((3, 4), dtype)
    for t in reversed(range(2000)):
        delta[t] = (d_state + problem.upstream[:, t]) * (1 - states[t + 1] ** 2)
        d_state = delta[t] @ problem.weights["layer0.W_hh"].T
    b_h = delta.astype(np.longdouble).sum(axis=(0, 1)).astype(dtype)
    exactly, noise = {**in_order, "layer0.b_h": b_h}, rounding_noise(problem)
    assert np.abs(b_h - in_order["layer0.b_h"]).max() > 5 * EPS[dtype] * np.abs(b_h).max()
    assert compare(in_order, exactly, ComparisonPolicy(noise=noise)).matches
    wrong = {**exactly, "layer0.b_h": b_h * (1 + 400 * EPS[dtype])}
    assert not compare(wrong, exactly, ComparisonPolicy(noise=noise)).matches
