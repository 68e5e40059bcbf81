"""Oracles perturb as many numbers at a time as fit: however many, each is perturbed once, and comes out alike."""

import numpy as np
import pytest

from reference_impls import complex_step, complex_step_gated, complex_step_sampled

SIZES = {"B": 2, "T": 4, "I": 3, "H": 2, "O": 3}
B, T, I, H = (SIZES[each] for each in "BTIH")


@pytest.fixture
def asked(monkeypatch):
    """Record the number of directions of each call of ``responses``, and the first step that was perturbed."""
    calls = []
    real = complex_step.responses

    def counted(state, n, directions, *, add=None, start=None, first_step=0):
        calls.append((directions, first_step))
        return real(state, n, directions, add=add, start=start, first_step=first_step)

    for module in (complex_step, complex_step_sampled):
        monkeypatch.setattr(module, "responses", counted)
    return calls


def assert_alike(found, expected):
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-13, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_all_of_a_plain_network(sized_net, monkeypatch, asked, at_once):
    """By rows of the weights that stand below each other, and by steps of the inputs."""
    problem = sized_net(SIZES, layers=1, readout=True)
    monkeypatch.setattr(complex_step, "CHUNK", 2**20)
    _, _, expected = complex_step.gradients(*problem.for_oracle())
    rows = I + H + 1
    assert asked == [(rows * H, 0), (H, 0), (T * I, 0)]
    asked.clear()
    monkeypatch.setattr(complex_step, "CHUNK", at_once * H * B * H)
    assert I > H  # a row of inputs takes more room
    _, _, found = complex_step.gradients(*problem.for_oracle())
    assert_alike(found, expected)
    of_weights = [(min(at_once, rows - first) * H, 0) for first in range(0, rows, at_once)]
    steps = max(1, at_once * H // I)
    of_inputs = [(min(steps, T - first) * I, first) for first in range(0, T, steps)]
    assert asked == [*of_weights, (H, 0), *of_inputs]


@pytest.mark.parametrize("at_once", [1, 2])
def test_some_of_a_plain_network(sized_net, monkeypatch, asked, at_once):
    problem = sized_net(SIZES, layers=1, readout=True)
    _, state = complex_step.perturbed(*problem.for_oracle())
    monkeypatch.setattr(complex_step_sampled, "CHUNK", at_once * B * H)
    some = np.array([2, 0, 1])
    complex_step_sampled.of_weights(state, 0, some, some % H)
    assert asked == ([(1, 0)] * 3 if at_once == 1 else [(2, 0), (1, 0)])
    asked.clear()
    complex_step_sampled.of_inputs(state, 1 + some, some)
    assert asked == ([(1, 3), (1, 1), (1, 2)] if at_once == 1 else [(2, 1), (1, 2)])


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_a_gated_network(sized_net, monkeypatch, at_once):
    problem = sized_net(SIZES, layers=1, readout=True, cell="lstm")
    _, _, state = complex_step_gated.forward("lstm", *problem.for_oracle())
    expected = complex_step_gated.gradients(state)
    asked = []
    real = complex_step_gated._answers

    def counted(*given):
        answers = real(*given)
        asked.append(len(answers))
        return answers

    monkeypatch.setattr(complex_step_gated, "_answers", counted)
    monkeypatch.setattr(complex_step_gated, "CHUNK", at_once * B * 4 * H)
    assert_alike(complex_step_gated.gradients(state), expected)
    counts = [array.size for array in problem.weights.values()]
    counts += [array.shape[1] for array in problem.initial_state.values()] + [T * I]
    assert asked == [min(at_once, count - first) for count in counts for first in range(0, count, at_once)]
