"""Networks whose gradients can be written down. With small whole numbers nothing is rounded, so they are exact."""

from types import SimpleNamespace

import numpy as np
import pytest


def whole(random, *shape):
    return random.integers(-3, 4, shape).astype(float)


def with_whole_numbers(problem, **given):
    random = np.random.default_rng(11)
    numbers = {name: whole(random, *array.shape) for name, array in problem.given.items()}
    return problem.with_given({**numbers, **given})


def test_one_step_of_one_sequence(sized_net, derivation):
    problem = with_whole_numbers(sized_net({"B": 1, "T": 1}, activation="identity", loss="squared_error"))
    g = {name.rpartition(".")[2]: array for name, array in problem.given.items()}
    problem.targets[...] = whole(np.random.default_rng(12), *problem.targets.shape)
    x, t = g["inputs"][0], problem.targets[0]  # (1, I), (1, H)

    y = x @ g["W_xh"] + g["h0"] @ g["W_hh"] + g["b_h"]
    d_y = 2 * (y - t)
    loss, outputs, gradients = problem.solve(derivation)

    assert loss == ((y - t) ** 2).sum()
    np.testing.assert_array_equal(outputs, [y])
    assert gradients.keys() == problem.given.keys()
    np.testing.assert_array_equal(gradients["layer0.W_xh"], x.T @ d_y)
    np.testing.assert_array_equal(gradients["layer0.W_hh"], g["h0"].T @ d_y)
    np.testing.assert_array_equal(gradients["layer0.b_h"], d_y[0])
    np.testing.assert_array_equal(gradients["layer0.h0"], d_y @ g["W_hh"].T)
    np.testing.assert_array_equal(gradients["inputs"], [d_y @ g["W_xh"].T])


@pytest.fixture(params=[1, 2, 5, 8], ids="T={}".format)
def linear(request, sized_net):
    """h_t = h_{t-1} W, the loss ⟨u, h_T⟩: everything follows from the powers of W."""
    T = request.param
    problem = sized_net({"B": 3, "T": T, "H": 4}, activation="identity", loss="dot", steps=[-1])
    zeros = {name: np.zeros_like(problem.given[name]) for name in ("inputs", "layer0.W_xh", "layer0.b_h")}
    problem = with_whole_numbers(problem, **zeros)
    problem.targets[...] = whole(np.random.default_rng(13), *problem.targets.shape)
    W = problem.weights["layer0.W_hh"].astype(np.int64)
    powers = [np.linalg.matrix_power(W, n) for n in range(T + 1)]
    h0, u = problem.initial_state["layer0.h0"].astype(np.int64), problem.targets[:, -1].astype(np.int64)
    return SimpleNamespace(problem=problem, T=T, powers=powers, h0=h0, u=u)


def test_linear_dynamics_forward(linear, derivation):
    loss, outputs, _ = linear.problem.solve(derivation)
    np.testing.assert_array_equal(outputs[:, -1], linear.h0 @ linear.powers[linear.T])
    assert loss == (linear.u * (linear.h0 @ linear.powers[linear.T])).sum()


def test_the_initial_state_of_linear_dynamics(linear, derivation):
    _, _, gradients = linear.problem.solve(derivation)
    np.testing.assert_array_equal(gradients["layer0.h0"], linear.u @ linear.powers[linear.T].T)


def test_the_recurrent_weights_of_linear_dynamics(linear, derivation):
    """Σ_t h_{t-1}ᵀ u (Wᵀ)^(T−t): each step's share of the gradient, the first one's through h_0."""
    _, _, gradients = linear.problem.solve(derivation)
    T, powers = linear.T, linear.powers
    shares = [(linear.h0 @ powers[t - 1]).T @ (linear.u @ powers[T - t].T) for t in range(1, T + 1)]
    np.testing.assert_array_equal(gradients["layer0.W_hh"], sum(shares))
    np.testing.assert_array_equal(
        gradients["layer0.b_h"], sum(linear.u.sum(axis=0) @ powers[T - t].T for t in range(1, T + 1))
    )


def test_layers_without_recurrence_are_a_product_of_matrices(sized_net, derivation):
    problem = sized_net({"T": 2}, activation="identity", loss="dot", layers=3, readout=True)
    zeros = {name: np.zeros_like(array) for name, array in problem.given.items() if name.endswith((".W_hh", ".b_h"))}
    problem = with_whole_numbers(problem, **zeros)
    problem.targets[...] = whole(np.random.default_rng(14), *problem.targets.shape)
    W = [problem.weights[f"layer{n}.W_xh"] for n in range(3)] + [problem.weights["readout.W_hy"]]
    _, outputs, gradients = problem.solve(derivation)
    np.testing.assert_array_equal(outputs, problem.inputs @ W[0] @ W[1] @ W[2] @ W[3] + problem.weights["readout.b_y"])
    np.testing.assert_array_equal(gradients["inputs"], problem.targets @ W[3].T @ W[2].T @ W[1].T @ W[0].T)
    np.testing.assert_array_equal(gradients["readout.b_y"], problem.targets.sum(axis=(0, 1)))
    assert not any(gradients[f"layer{n}.h0"].any() for n in range(3))


def test_sequences_of_a_batch_do_not_mix(sized_net, derivation):
    """The gradient of a batch is the sum of its sequences' gradients; states' and inputs' stand side by side."""
    problem = with_whole_numbers(sized_net({"B": 2}, activation="identity", loss="dot", layers=2))
    problem.targets[...] = whole(np.random.default_rng(15), *problem.targets.shape)
    whole_batch = problem.solve(derivation)[2]
    alone = []
    for b in range(2):
        kept = np.arange(2) == b
        problem.covered[...] = kept[:, None]
        alone.append(problem.solve(derivation)[2])
    for name, gradient in whole_batch.items():
        np.testing.assert_array_equal(gradient, alone[0][name] + alone[1][name])
        if name == "inputs" or name.endswith(".h0"):
            assert not alone[0][name][1].any()
            assert not alone[1][name][0].any()
