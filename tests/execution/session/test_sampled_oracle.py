"""A sample of the oracle's gradient: from every tensor, the same each time, and directions that see the rest."""

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.session import compare_for, directional
from harness.implementations import Promise, implementations
from harness.implementations import complex_step as module
from harness.precision.perturbations import COUNT, directions
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run


@pytest.fixture
def sampled(monkeypatch):
    """Let the oracle sample three directions from each tensor, whatever the problem's size."""

    def of(problem, share=3):
        one = module.work_of_one(problem)
        tensors = len([name for name in problem.structure.gradients if not name.startswith("readout.")])
        monkeypatch.setattr(module, "work", lambda _: 10 * module.MOST_WORK)
        monkeypatch.setattr(module, "SAMPLED_WORK", share * one * tensors)
        return run(implementations()["complex-step"], problem)

    return of


def problem_of(dtype="float64", readout="linear", **fields):
    numbers = {"normal": 0.9, "seed": 5}
    case = ValidCase(
        name="c",
        file="c",
        dtype=dtype,
        layers=2,
        sizes=Sizes(2, 4, 3, 7, 5 if readout == "linear" else None),
        readout=readout,
        weights={"uniform": (-0.7, 0.7), "seed": 1},
        inputs=numbers,
        initial_state=numbers,
        loss=Loss("squared_error", reduction="mean"),
        targets=numbers,
        **fields,
    )
    return build(case, None)


def baseline_of(problem):
    return run(implementations()["numpy-split"], problem)


def compared(problem, actual, expected):
    return compare_for(problem, actual, expected, rounding_noise(problem), Promise(complete=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("readout", ["none", "linear"])
def test_a_right_baseline_matches_and_every_tensor_is_sampled(sampled, dtype, readout):
    problem = problem_of(dtype, readout)
    found = sampled(problem)
    comparison = compared(problem, found, baseline_of(problem))
    assert comparison.matches, str(comparison)
    elements = {each.tensor: each.elements for each in comparison.tensors}
    B = 2
    below = {"W_xh": 3, "W_hh": 3, "b_h": 3, "h0": 3 * B}
    expected = {f"layer{n}.{name}": count for n in (0, 1) for name, count in below.items()}
    expected |= {"inputs": 3 * B, "directional": COUNT, "loss": 1, "outputs": 8 * (5 if readout == "linear" else 7)}
    expected |= {"readout.W_hy": 35, "readout.b_y": 5} if readout == "linear" else {}
    assert elements == expected
    assert not next(each for each in comparison.tensors if each.tensor == "directional").bound.ill_conditioned


def test_the_sample_is_the_same_each_time_and_differs_between_tensors(sampled):
    problem = problem_of()
    first, second = sampled(problem), sampled(problem)
    for name, known in first.known.items():
        np.testing.assert_array_equal(known, second.known[name])
    assert not np.array_equal(first.known["layer0.W_hh"], first.known["layer1.W_hh"])


def test_a_sample_as_large_as_the_tensor_is_all_of_it(sampled):
    problem = problem_of()
    found = sampled(problem, share=1000)
    assert not found.known
    for name, tensor in baseline_of(problem).gradients.items():
        assert np.abs(found.gradients[name] - tensor).max() <= 1e-14 * np.abs(tensor).max()


@pytest.mark.parametrize("name", ["layer0.W_xh", "layer0.W_hh", "layer1.b_h", "layer1.h0", "inputs"])
def test_an_error_that_the_sample_misses_is_seen_by_the_directions(sampled, name):
    problem = problem_of()
    found, expected = sampled(problem), baseline_of(problem)
    missed = tuple(int(axis[0]) for axis in np.nonzero(~found.known[name]))
    expected.gradients[name][missed] += 1e-6 * np.abs(expected.gradients[name]).max()
    comparison = compared(problem, found, expected)
    assert {each.tensor for each in comparison.disagreements} == {"directional"}
    expected.gradients[name][tuple(int(axis[0]) for axis in np.nonzero(found.known[name]))] *= 1 + 1e-6
    assert {each.tensor for each in compared(problem, found, expected).disagreements} == {"directional", name}


def test_without_every_gradient_of_the_baseline_there_is_no_inner_product(sampled):
    problem = problem_of()
    found, expected = sampled(problem), baseline_of(problem)
    del expected.gradients["inputs"]
    del found.gradients["inputs"]
    assert directional.with_expected(expected, problem, COUNT) is None
    assert "directional" not in [each.tensor for each in compared(problem, found, expected).tensors]


@pytest.mark.parametrize(
    "tolerance", [{"rtol": 1e-3}, {"default": {"rtol": 1e-3}}, {"default": {"atol": 1e-3}}], ids=str
)
def test_a_tolerance_of_the_case_is_carried_over(sampled, tolerance):
    problem = problem_of(tolerance=tolerance)
    found, expected = sampled(problem), baseline_of(problem)
    random = np.random.default_rng(0)
    for tensor in expected.gradients.values():
        tensor *= 1 + 5e-4 * random.uniform(-1, 1, tensor.shape)
    assert compared(problem, found, expected).matches
    for tensor in expected.gradients.values():
        tensor *= 1.5
    wrong = {each.tensor for each in compared(problem, found, expected).disagreements}
    assert "directional" in wrong


def test_directions_are_seeded_and_have_every_tensor():
    structure = problem_of().structure
    first, again = list(directions(structure)), list(directions(structure))
    assert len(first) == COUNT
    for one, other in zip(first, again, strict=True):
        assert {name: array.shape for name, array in one.items()} == structure.gradients
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])
    assert not np.array_equal(first[0]["inputs"], first[1]["inputs"])
    assert not np.array_equal(first[0]["layer0.W_hh"], first[0]["layer1.W_hh"])


def test_a_direction_passes_through_its_own_recurrence_and_all_above():
    problem = problem_of(readout="none")  # B 2, T 4, I 3, H 7, two layers
    assert module.work_of_one(problem, "layer1.W_hh") == 2 * 4 * (7 * 7 + 7 * 7)
    assert module.work_of_one(problem, "layer0.h0") == 2 * 4 * (3 * 7 * 7 + 7 * 7)
    first, second = 3 * 7 + 7 * 7 + 7 + 7 + 4 * 3 / 2, 2 * 7 * 7 + 7 + 7
    assert module.work(problem) == 2 * 4 * (first * 4 * 7 * 7 + second * 2 * 7 * 7)
