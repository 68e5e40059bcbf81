"""The error of the baseline: the same from every source, and not blurred by the rounding of a float64."""

import math

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.processes import Workers, asking
from harness.implementations import implementations, install_line
from harness.implementations.certified import FLINT
from harness.precision import error_floor as floors
from harness.precision.error_floor import NoErrorFloor, from_intervals, from_wider_numbers
from harness.problem import build
from harness.result import run


def problem_of(dtype="float64", loss="dot", activation="tanh", sizes=(2, 3, 4, 5), **fields):
    numbers = {"normal": 0.9, "seed": 5}
    targets = {"uniform": (0, sizes[3]), "seed": 6} if loss == "softmax_cross_entropy" else numbers
    given = {"weights": {"uniform": (-0.9, 0.9), "seed": 4}, "inputs": numbers, "initial_state": numbers, **fields}
    case = ValidCase(
        name="floor",
        file="floor",
        dtype=dtype,
        layers=2,
        activation=activation,
        sizes=Sizes(*sizes),
        loss=Loss(loss),
        **{"upstream" if loss == "dot" else "targets": targets},
        **given,
    )
    return build(case, None)


def tensors_of(problem):
    return run(implementations()["numpy-split"], problem).tensors


wide_longdouble = pytest.mark.skipif(not floors.longdouble_is_wider(), reason="longdouble is float64 on this machine")


@pytest.mark.parametrize("loss", ["squared_error", "softmax_cross_entropy", "dot"])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "identity"])
@pytest.mark.parametrize(
    ("dtype", "source"),
    [("float32", "float64"), pytest.param("float64", "longdouble", marks=wide_longdouble)],
)
def test_every_source_measures_the_same(activation, loss, dtype, source):
    problem = problem_of(dtype, loss, activation)
    baseline = tensors_of(problem)
    proven, found = from_intervals(problem, baseline), from_wider_numbers(problem, baseline)
    assert (proven.source, found.source) == ("certified", source)
    assert proven.errors.keys() == found.errors.keys() == baseline.keys()
    for name, errors in proven.errors.items():
        blur = 0.02 * np.finfo(dtype).eps * np.abs(baseline[name]).max()
        np.testing.assert_allclose(found.errors[name], errors, rtol=0, atol=blur, err_msg=name)
        assert found.rounding[name] == found.errors[name].max()
    assert max(errors.max() for errors in proven.errors.values()) > 0 or activation == "identity"


def test_a_known_error_is_found_to_far_less_than_half_an_ulp():
    """A baseline that is the certified answer, rounded, is off by at most half an ulp; its neighbour by half to one and
    a half. Held against a float64, the two would be off by nothing and by one."""
    problem = problem_of()
    rounded = run(implementations()["certified"], problem).tensors
    errors = from_intervals(problem, rounded).errors
    moved = {name: np.nextafter(tensor, np.inf) for name, tensor in rounded.items()}
    errors_of_moved = from_intervals(problem, moved).errors
    for name, tensor in rounded.items():
        ulp = np.spacing(np.abs(tensor))
        assert (errors[name] <= ulp / 2 * (1 + 1e-10)).all()
        apart = np.abs(moved[name] - tensor)
        assert (errors_of_moved[name] >= apart / 2 * (1 - 1e-10)).all()
        assert (errors_of_moved[name] <= apart * 1.5 * (1 + 1e-10)).all()
    assert any(errors[name].any() for name in errors)


def test_a_wrong_baseline_is_off_by_more_than_the_reference_is():
    problem = problem_of()
    wrong = {name: tensor * 1.001 for name, tensor in tensors_of(problem).items()}
    found = from_intervals(problem, wrong)
    for name, tensor in wrong.items():
        assert found.errors[name].max() == pytest.approx(np.abs(tensor).max() / 1001, rel=1e-6)
        assert found.rounding[name] < 1e-12


def test_what_is_not_finite_is_infinitely_far_and_no_measure_of_rounding():
    problem = problem_of("float32", activation="identity", weights={"fill": 1e12}, sizes=(1, 4, 2, 3))
    with np.errstate(all="ignore"):
        baseline = tensors_of(problem)
    assert not all(np.isfinite(tensor).all() for tensor in baseline.values())
    for measured in (from_intervals(problem, baseline), from_wider_numbers(problem, baseline)):
        for name, tensor in baseline.items():
            assert (np.isinf(measured.errors[name]) == ~np.isfinite(tensor)).all(), name
            assert math.isfinite(measured.rounding[name])


def test_tensors_of_a_wrong_shape_are_left_out():
    problem = problem_of()
    baseline = {**tensors_of(problem), "loss": np.zeros(3), "nonsense": np.zeros(2)}
    found = from_intervals(problem, baseline)
    assert found.errors.keys() == baseline.keys() - {"loss", "nonsense"}
    assert "loss" in found.rounding


def test_why_there_is_none(monkeypatch):
    with pytest.raises(NoErrorFloor, match=r"float64: would take .* multiplications; at most 1e\+10"):
        from_wider_numbers(problem_of("float32", sizes=(300, 30, 1, 800), inputs="zeros"), {})
    with pytest.raises(NoErrorFloor, match="certified: would take"):
        from_intervals(problem_of(sizes=(300, 30, 1, 800), inputs="zeros"), {})
    monkeypatch.setattr(floors, "longdouble_is_wider", lambda: False)
    with pytest.raises(NoErrorFloor, match="longdouble is float64 on this machine; python-flint"):
        from_wider_numbers(problem_of(), {})


@pytest.mark.framework
def test_workers_take_the_best_source_that_there_is(monkeypatch):
    problem = problem_of("float32")
    baseline = tensors_of(problem)
    with Workers() as workers:
        best = workers.floor(problem, baseline)
        assert (best.source, best.reason) == ("certified", "")
        here = from_intervals(problem, baseline)
        assert best.rounding == here.rounding
        for name, errors in here.errors.items():
            np.testing.assert_array_equal(best.errors[name], errors)
        monkeypatch.setattr(
            asking, "missing_modules", lambda framework: ["flint"] if framework.name == FLINT.name else []
        )
        second = workers.floor(problem, baseline)
    assert second.source == "float64"
    assert second.reason == f"flint is not installed; {install_line(FLINT)}"
    assert "bptt-harness[certified]" in second.reason


@pytest.mark.parametrize(
    "truncation", [{"kind": "detach", "every": 2}, {"kind": "window", "steps": 1}], ids=["detach", "window"]
)
@pytest.mark.parametrize(
    ("dtype", "source"),
    [("float32", "float64"), pytest.param("float64", "longdouble", marks=wide_longdouble)],
)
def test_of_a_truncated_gradient_the_wider_numbers_are_truncated_too(truncation, dtype, source):
    problem = problem_of(dtype, truncation=truncation)
    baseline = tensors_of(problem)
    found = from_wider_numbers(problem, baseline)
    assert found.source == source
    for name, errors in found.errors.items():
        assert errors.max() <= 30 * np.finfo(dtype).eps * np.abs(baseline[name]).max(), name
    full = tensors_of(problem_of(dtype))
    assert from_wider_numbers(problem, full).errors["layer0.W_xh"].max() > 1e-3
