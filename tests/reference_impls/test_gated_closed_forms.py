"""Gates that are wide open or shut: what is left of a gated cell can be written down.

At ±1000 the sigmoid is exactly 1 or 0, and so flat that nothing passes through it: most of this is exact.
"""

import numpy as np
import pytest

from reference_impls import gru_concatenated, gru_split, lstm_concatenated, lstm_split, network, rnn_split
from reference_impls.activations import ACTIVATIONS

OPEN, SHUT = 1000.0, -1000.0


@pytest.fixture(params=[lstm_split, lstm_concatenated], ids=["split", "concatenated"])
def lstm(request):
    return request.param


@pytest.fixture(params=[gru_split, gru_concatenated], ids=["split", "concatenated"])
def grus(request):
    return request.param.RESETS


@pytest.fixture(params=["after", "before"])
def reset(request):
    return request.param


def with_bias(problem, **gates):
    """Set the biases of some gates: ``i``, ``f``, ``g``, ``o``, or ``r``, ``z``, ``n``."""
    order = "ifgo" if "layer0.c0" in problem.given else "rzn"
    b = problem.weights["layer0.b_h"].copy()
    for gate, value in gates.items():
        b.reshape(len(order), -1)[order.index(gate)] = value
    return problem.with_given({**problem.given, "layer0.b_h": b})


def without(gradients, *names):
    return {name: gradient for name, gradient in gradients.items() if name not in names}


def test_an_lstm_that_forgets_nothing_and_lets_nothing_in_carries_its_cell(net, lstm):
    problem = with_bias(net(loss="dot", cell="lstm"), i=SHUT, f=OPEN, o=OPEN)
    _, outputs, gradients = problem.solve(lstm)
    c0 = problem.initial_state["layer0.c0"]
    for t in range(3):
        np.testing.assert_array_equal(outputs[:, t], np.tanh(c0))
    expected = problem.targets.sum(axis=1) * (1 - np.tanh(c0) ** 2)
    np.testing.assert_allclose(gradients["layer0.c0"], expected, rtol=1e-14)
    assert not any(gradient.any() for gradient in without(gradients, "layer0.c0").values())


def test_an_lstm_that_forgets_everything_has_no_gradient_by_its_first_cell(net, lstm):
    problem = with_bias(net(loss="dot", cell="lstm"), f=SHUT)
    problem.covered[:, 0] = False
    gradients = problem.solve(lstm)[2]
    assert not gradients["layer0.c0"].any()
    assert gradients["layer0.h0"].any()


def test_an_lstm_with_its_output_shut_is_silent(net, lstm):
    _, outputs, gradients = with_bias(net(loss="dot", cell="lstm"), o=SHUT).solve(lstm)
    assert not outputs.any()
    assert not any(gradient.any() for gradient in gradients.values())


def test_an_lstm_with_all_gates_open_adds_up_its_inputs(net, lstm):
    """c_t = c_{t-1} + x_t W_xg, in whole numbers: each step's input acts on all later outputs alike."""
    problem = net("identity", "dot", cell="lstm")
    random = np.random.default_rng(7)
    numbers = {name: random.integers(-3, 4, array.shape).astype(float) for name, array in problem.given.items()}
    zeros = {name: np.zeros_like(problem.given[name]) for name in ("layer0.W_hh", "layer0.b_h")}
    problem = with_bias(problem.with_given({**numbers, **zeros}), i=OPEN, f=OPEN, o=OPEN)
    problem.targets[...] = random.integers(-3, 4, problem.targets.shape)
    x, c0, u = problem.inputs, problem.initial_state["layer0.c0"], problem.targets
    W_xg = problem.weights["layer0.W_xh"][:, 6:9]
    _, outputs, gradients = problem.solve(lstm)

    np.testing.assert_array_equal(outputs, c0[:, None] + np.cumsum(x @ W_xg, axis=1))
    d_c = np.cumsum(u[:, ::-1], axis=1)[:, ::-1]  # Σ of this and all later steps
    np.testing.assert_array_equal(gradients["layer0.c0"], d_c[:, 0])
    np.testing.assert_array_equal(gradients["inputs"], d_c @ W_xg.T)
    np.testing.assert_array_equal(gradients["layer0.W_xh"][:, 6:9], np.einsum("bti,bth->ih", x, d_c))
    np.testing.assert_array_equal(gradients["layer0.b_h"][6:9], d_c.sum(axis=(0, 1)))
    h_before = np.concatenate([problem.initial_state["layer0.h0"][:, None], outputs[:, :-1]], axis=1)
    np.testing.assert_array_equal(gradients["layer0.W_hh"][:, 6:9], np.einsum("bth,btk->hk", h_before, d_c))
    for name in ("layer0.W_xh", "layer0.W_hh", "layer0.b_h"):
        assert not gradients[name][..., [*range(6), *range(9, 12)]].any()


def test_a_gru_whose_update_gate_is_open_keeps_its_state(net, grus, reset):
    problem = with_bias(net(loss="dot", cell=f"gru, reset {reset}"), z=OPEN)
    _, outputs, gradients = problem.solve(grus[reset])
    for t in range(3):
        np.testing.assert_array_equal(outputs[:, t], problem.initial_state["layer0.h0"])
    np.testing.assert_allclose(gradients["layer0.h0"], problem.targets.sum(axis=1), rtol=1e-14)
    assert not any(gradient.any() for gradient in without(gradients, "layer0.h0").values())


def test_a_gru_that_updates_all_and_resets_nothing_is_a_vanilla_rnn(net, assert_close, grus, reset):
    problem = with_bias(net(cell=f"gru, reset {reset}"), r=OPEN, z=SHUT)
    loss, outputs, gradients = problem.solve(grus[reset])
    given = {name: array[..., 6:9] for name, array in problem.weights.items() if not name.endswith("b_hn")}
    given["layer0.b_h"] = given["layer0.b_h"] + problem.weights.get("layer0.b_hn", 0)
    passed = network.forward(rnn_split, given, problem.inputs, problem.initial_state, ACTIVATIONS["tanh"])
    rnn_loss, d_outputs = problem.loss_of(passed.outputs)
    expected = network.backward(rnn_split, given, passed, d_outputs)
    for name in given:
        assert not gradients[name][..., :6].any()
        gradients[name] = gradients[name][..., 6:9]
    if reset == "after":
        expected["layer0.b_hn"] = expected["layer0.b_h"]
    assert_close(
        {"outputs": outputs, "loss": loss, **gradients}, {"outputs": passed.outputs, "loss": rnn_loss} | expected, 1e-14
    )


def test_a_gru_that_resets_all_and_updates_all_has_no_memory(net, grus, reset):
    problem = with_bias(net(cell=f"gru, reset {reset}"), r=SHUT, z=SHUT)
    _, outputs, gradients = problem.solve(grus[reset])
    n = problem.inputs @ problem.weights["layer0.W_xh"][:, 6:9] + problem.weights["layer0.b_h"][6:9]
    np.testing.assert_allclose(outputs, np.tanh(n), rtol=1e-13)
    for name in {"layer0.h0", "layer0.W_hh", "layer0.b_hn"} & gradients.keys():
        assert not gradients[name].any(), name


def test_with_one_unit_and_no_bias_under_the_reset_the_two_variants_are_one(sized_net, assert_close, grus):
    """Then (r h) w is r (h w); with two units it is not."""
    for H, alike in ((1, True), (2, False)):
        after = sized_net({"H": H, "T": 5}, cell="gru, reset after")
        after = after.with_given({**after.given, "layer0.b_hn": np.zeros(H)})
        before = after.with_given(after.given)
        before.weights.pop("layer0.b_hn")
        (_, outputs, gradients), (_, others, of_others) = after.solve(grus["after"]), before.solve(grus["before"])
        assert np.allclose(outputs, others, rtol=0, atol=1e-14) == alike
        if alike:
            assert_close(without(gradients, "layer0.b_hn"), of_others, 1e-14)
