"""``harness.run``, ``compare``, ``diagnose`` and ``assert_gradients_match`` on a recurrence of one's own."""

import warnings

import numpy as np
import pytest

import harness
from benchmarks.edits.passes import gru, gru_pass, lstm, lstm_pass
from harness.diagnosis import UNEXPLAINED


def wrong_pass(problem):
    found = lstm_pass(problem)
    return {**found, "U": found["U"] * 2}


def test_a_right_one_matches():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        harness.assert_gradients_match(lstm_pass, lstm)
        harness.assert_gradients_match(lstm_pass, lstm.problem(seed=3, dtype="float32", B=2, T=4, I=3, H=6))
        harness.assert_gradients_match(lstm_pass, lstm, require_all=True)


def test_a_wrong_one_does_not():
    with pytest.raises(AssertionError) as raised:
        harness.assert_gradients_match(wrong_pass, lstm)
    text = str(raised.value)
    assert text.startswith("lstm[dtype=float64,B=3,T=7,")
    assert "wrong_pass against derived" in text
    assert "U: " in text
    assert "diagnosis: " in text
    assert "U" in text.partition("diagnosis: ")[2]


def test_a_missing_gradient_is_one_only_if_all_are_required():
    def in_part(problem):
        return {"U": lstm_pass(problem)["U"]}

    harness.assert_gradients_match(in_part, lstm)
    with pytest.raises(AssertionError, match="W"):
        harness.assert_gradients_match(in_part, lstm, require_all=True)


def test_one_that_is_wrong_in_longer_sequences_alone():
    def forgetful(problem):
        """Return what is right up to 16 steps, as a kernel with chunks may."""
        found = gru_pass(problem)
        return found if problem.inputs["x"].shape[1] <= 16 else {**found, "inputs.x": found["inputs.x"] * 1.5}

    with pytest.raises(AssertionError, match=r"gru\[.*T=65"):
        harness.assert_gradients_match(forgetful, gru)


@pytest.mark.parametrize("name", ["derived", "complex-step", "forward-mode"])
def test_a_name_is_run_and_compared(name):
    problem = gru.problem(seed=2)
    found = harness.run(name, problem)
    comparison = harness.compare(found, harness.run("derived", problem))
    assert comparison.matches, str(comparison)
    assert {each.tensor for each in comparison.tensors} >= {"W", "U", "b", "b_n", "inputs.x", "h0"}
    harness.assert_gradients_match(name, gru)


def test_a_function_is_run_and_compared():
    problem = lstm.problem(seed=2)
    right = harness.run("derived", problem)
    assert harness.compare(harness.run(lstm_pass, problem), right).matches
    assert not harness.compare(harness.run(wrong_pass, problem), right).matches
    assert not harness.compare({"U": 2 * right.tensors["U"]}, right).matches
    assert harness.compare(lstm_pass(problem), right).matches


def test_a_diagnosis():
    problem = lstm.problem(seed=2)
    assert harness.diagnose(lstm_pass(problem), problem) == []
    found = harness.diagnose(wrong_pass(problem), problem)
    assert found[0].fault != UNEXPLAINED
    assert found[0].tensors == ("U",)
    answer = lstm_pass(problem)
    noise = np.random.default_rng(0).normal(size=answer["W"].shape)
    (unexplained,) = harness.diagnose({**answer, "W": noise}, problem)
    assert unexplained.fault == UNEXPLAINED


def test_a_diagnosis_of_a_result():
    problem = lstm.problem(seed=2)
    found = harness.diagnose(harness.run(wrong_pass, problem), problem)
    assert found[0].tensors == ("U",)


def test_names_and_shapes_that_do_not_fit_are_refused():
    problem = lstm.problem(seed=2)
    with pytest.raises(ValueError, match=r"input\.x.*inputs\.x"):
        harness.diagnose({"input.x": problem.inputs["x"]}, problem)
    with pytest.raises(ValueError, match="nothing was diagnosed"):
        harness.diagnose({"W": np.zeros((2, 2))}, problem)


def test_a_size_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no size 'K'"):
        lstm.problem(K=3)
    with pytest.raises(ValueError, match="should be a whole number above 0"):
        lstm.problem(H=0)
    with pytest.raises((ValueError, TypeError)):
        lstm.problem(T=0)
    with pytest.raises((ValueError, TypeError)):
        lstm.problem(B=0)
    with pytest.raises((ValueError, TypeError)):
        lstm.problem(dtype="int32")


def test_an_implementation_under_the_decorator():
    mine = harness.implementation("mine", recurrence=lstm)(lstm_pass)
    harness.assert_gradients_match(mine, lstm)
    assert mine.recurrence == "lstm"


def test_arrays_of_a_problem_are_its_own():
    problem = lstm.problem(seed=2)
    with pytest.raises(ValueError, match="read-only"):
        problem.weights["W"][0, 0] = 1
    copy = problem.copy()
    copy.weights["W"][0, 0] = 17
    assert problem.weights["W"][0, 0] != 17


def test_one_seed_gives_one_problem():
    one, again, other = lstm.problem(seed=2), lstm.problem(seed=2), lstm.problem(seed=3)
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])
        assert not np.array_equal(array, other.arrays[name])
    assert not np.array_equal(one.upstream, other.upstream)


@pytest.mark.framework("torch")
def test_tensors_of_torch():
    import torch

    def in_torch(problem):
        return {name: torch.tensor(each) for name, each in lstm_pass(problem).items()}

    harness.assert_gradients_match(in_torch, lstm)
    problem = lstm.problem(seed=2)
    answer = in_torch(problem)
    assert harness.diagnose({**answer, "U": 2 * answer["U"]}, problem)[0].tensors == ("U",)


@pytest.mark.framework("torch")
def test_a_module_of_torch():
    import torch

    def by_module(problem):
        H = problem.initial_state["h"].shape[1]
        cell = torch.nn.LSTM(problem.inputs["x"].shape[2], H, batch_first=True, dtype=torch.float64)
        w = problem.weights
        with torch.no_grad():
            cell.weight_ih_l0.copy_(torch.tensor(w["W"].T.astype(np.float64)))
            cell.weight_hh_l0.copy_(torch.tensor(w["U"].T.astype(np.float64)))
            cell.bias_ih_l0.copy_(torch.tensor(w["b"].astype(np.float64)))
            cell.bias_hh_l0.zero_()
        x, h0, c0 = (
            torch.tensor(each.astype(np.float64), requires_grad=True)
            for each in (problem.inputs["x"], problem.initial_state["h"], problem.initial_state["c"])
        )
        outputs, (h, c) = cell(x, (h0[None], c0[None]))
        loss = (outputs * torch.tensor(problem.upstream)).sum()
        loss = loss + (h[0] * torch.tensor(problem.upstream_state["h"])).sum()
        loss = loss + (c[0] * torch.tensor(problem.upstream_state["c"])).sum()
        loss.backward()
        found = {"W": cell.weight_ih_l0.grad.T, "U": cell.weight_hh_l0.grad.T, "b": cell.bias_ih_l0.grad}
        found |= {"inputs.x": x.grad, "h0": h0.grad, "c0": c0.grad}
        return {name: each.numpy().astype(problem.upstream.dtype) for name, each in found.items()}

    harness.assert_gradients_match(by_module, lstm)
