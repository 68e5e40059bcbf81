"""The bound for a certified answer, and the number of attempts."""

import numpy as np
import pytest
from flint import arb, ctx

from harness.derive.balls import to_balls
from harness.implementations import Unsupported, implementations
from harness.precision.intervals import certification
from harness.precision.intervals.certification import NotCertified, certified, is_certified, solve
from harness.precision.intervals.tensors import distance, rounded
from harness.result import run


@pytest.mark.parametrize(
    ("balls", "enough"),
    [
        ([arb(3), arb(0)], True),
        ([arb(1, 2.0**-81), arb(1e-9, 2.0**-81)], True),  # relative to the largest element, not to each
        ([arb(1, 2.0**-79)], False),
        ([arb(1), arb(1e-9, 2.0**-79)], False),
        ([arb(0, 2.0**-1000)], False),
        ([arb(0, 1) * arb(2) ** -1155], True),  # smaller than any float64, to 80 bits of the least of them
        ([arb(0)], True),
        ([arb(1), arb("nan")], False),
        ([arb("inf")], False),
        ([arb(0, float("inf"))], False),
    ],
    ids=str,
)
def test_the_criterion(balls, enough):
    assert is_certified(to_balls(balls)) is enough


@pytest.fixture
def precisions(monkeypatch):
    """The precisions that were tried."""
    tried = []

    def watched(problem):
        tried.append(ctx.prec)
        return solve(problem)

    monkeypatch.setattr(certification, "solve", watched)
    return tried


def test_precision_is_doubled_until_a_chaotic_recurrence_is_certified(problem_of, precisions):
    problem = problem_of(loss="dot", sizes=(2, 60, 3, 48), weights={"normal": 0.5, "seed": 7})
    answer = certified(problem)
    assert len(precisions) > 1
    assert precisions == [128 * 2**n for n in range(len(precisions))]
    with ctx.workprec(2 * precisions[-1]):
        better = solve(problem)
        for name, tensor in answer.items():
            largest = max(abs(ball.mid()) for ball in better[name].reshape(-1))
            for ball, other in zip(tensor.reshape(-1), better[name].reshape(-1), strict=True):
                assert ball.overlaps(other)
                assert abs(ball.mid() - other.mid()) <= largest * arb(2) ** -79
    with ctx.workprec(128):
        first = solve(problem)
    assert not all(is_certified(tensor) for tensor in first.values())


def test_float64_is_far_off_where_it_is_chaotic(problem_of):
    """The doubling is for this: the reference in float64 has lost its digits here, and cannot show it by itself."""
    problem = problem_of(loss="dot", sizes=(2, 60, 3, 48), weights={"normal": 0.5, "seed": 7})
    reference = run(implementations()["numpy-split"], problem).tensors["layer0.W_hh"]
    error = distance(reference, certified(problem)["layer0.W_hh"])
    assert error.max() > 1e-9 * np.abs(reference).max()


def test_slopes_smaller_than_any_float(problem_of, precisions):
    """1 − tanh² at 400 is 1e-347: certified to be less than the least float64, and then rounded to zero."""
    problem = problem_of(loss="dot", sizes=(1, 1, 1, 1), weights={"fill": 400.0}, inputs="ones", initial_state="zeros")
    answer = certified(problem)["layer0.b_h"]
    assert precisions[-1] > 1000
    assert abs(answer[0]) < arb(10) ** -340
    assert rounded(answer, "float64").tolist() == [0.0]


def test_a_kink_that_no_precision_decides_is_said(problem_of, precisions, monkeypatch):
    """Two units that stay equal and cancel in a third: exactly zero, which rounded numbers cannot prove."""
    monkeypatch.setattr(certification, "LAST_PRECISION", 256)
    problem = problem_of(
        activation="relu",
        loss="dot",
        sizes=(1, 30, 1, 3),
        weights={
            "layer0.W_xh": {"values": [[0.3, 0.3, 0.0]]},
            "layer0.W_hh": {"values": [[0.7, 0.0, 1.0], [0.0, 0.7, -1.0], [0.0, 0.0, 0.0]]},
            "layer0.b_h": "zeros",
        },
        inputs="ones",
        initial_state="zeros",
    )
    attempts = len(precisions)
    for _ in range(2):
        with pytest.raises(NotCertified, match="256 bits: 256 bits do not decide on which side of relu's kink"):
            certified(problem)
    assert len(precisions) == attempts + 2  # 128 and 256 bits, and then it is remembered
    monkeypatch.setattr(certification, "LAST_PRECISION", 4096)
    certification._recent.clear()
    answer = certified(problem)  # with bits enough, nothing is rounded
    assert answer["outputs"][0, -1, 2].is_zero()


def test_what_would_take_too_long_is_unsupported_with_the_reason(problem_of):
    problem = problem_of(sizes=(64, 500, 20, 100), inputs="zeros")
    with pytest.raises(Unsupported, match=r"multiplications of intervals of 128 bits; at most 2\.5e\+08"):
        run(implementations()["certified"], problem)


def test_answers_are_remembered_by_everything_that_they_depend_on(problem_of, precisions):
    first = problem_of(loss="dot", sizes=(1, 2, 3, 2))
    assert certified(first) is certified(first.copy())
    count = len(precisions)
    others = [
        problem_of(loss="dot", sizes=(1, 2, 3, 2), reduction="mean"),
        problem_of(loss="dot", sizes=(1, 2, 3, 2), activation="sigmoid"),
        problem_of(loss="dot", sizes=(1, 2, 3, 2), steps=(0,)),
        problem_of(loss="dot", sizes=(1, 2, 3, 2), inputs="ones"),
    ]
    for other in others:
        certified(other)
    assert len(precisions) == count + len(others)
    assert len(certification._recent) <= certification.KEPT


def test_rounding_and_distance():
    third = to_balls([arb(1) / 3, arb(-7)])
    assert rounded(third, "float64").tolist() == [1 / 3, -7.0]
    assert rounded(third, "float32").dtype == np.float32
    assert rounded(third, "float32")[0] == np.float32(1 / 3)
    with ctx.workprec(200):
        off = distance(np.array([1 / 3, np.nan]), to_balls([arb(1) / 3, arb(0)]))
    assert off[0] == pytest.approx(2.0**-54 / 3, rel=1e-9)
    assert off[1] == np.inf
