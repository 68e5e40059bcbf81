"""The answers in balls: right where they can be written down, and the reference's where it has more digits."""

import numpy as np
import pytest
from flint import arb, ctx

from harness.derive.balls import DECIDED, UndecidedError, to_balls
from harness.precision.intervals.certification import certified
from harness.problem.reference import layer_of
from reference_impls import network
from reference_impls.activations import ACTIVATIONS
from reference_impls.losses import LOSSES

EPS = float(np.finfo(np.longdouble).eps)


def in_longdouble(problem):
    def wide(arrays):
        return {name: array.astype(np.longdouble) for name, array in arrays.items()}

    targets = problem.targets.astype(np.longdouble) if problem.targets.dtype.kind == "f" else problem.targets
    loss = problem.case.loss
    layer, weights, inputs = layer_of(problem.structure), wide(problem.weights), problem.inputs.astype(np.longdouble)
    activation = ACTIVATIONS[problem.case.activation]
    passed = network.forward(layer, weights, inputs, wide(problem.initial_state), activation)
    value, d_outputs = LOSSES[loss.kind](passed.outputs, targets, problem.covered, loss.reduction)
    gradients = network.backward(layer, weights, passed, d_outputs, problem.truncation)
    return {"loss": value, "outputs": passed.outputs, **gradients}


CELLS = {"lstm": {"cell": "lstm"}, "gru, after": {"cell": "gru"}, "gru, before": {"cell": "gru", "reset": "before"}}


@pytest.mark.spread(2)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("readout", [False, True], ids=["states", "readout"])
@pytest.mark.parametrize(
    ("number", "reduction", "steps", "truncation"),
    [
        (1, "sum", "all", "none"),
        (2, "mean", (1,), "none"),
        (2, "mean", "all", {"kind": "detach", "every": 2}),
        (2, "sum", "all", {"kind": "window", "steps": 1}),
    ],
    ids=str,
)
def test_of_a_gated_cell_it_is_the_reference_with_more_digits(
    problem_of, off_by, cell, loss, readout, number, reduction, steps, truncation
):
    problem = problem_of(
        **CELLS[cell],
        loss=loss,
        readout=readout,
        layers=number,
        reduction=reduction,
        steps=steps,
        truncation=truncation,
    )
    answer, expected = certified(problem), in_longdouble(problem)
    assert answer.keys() == expected.keys()
    for name, tensor in expected.items():
        assert off_by(answer[name], tensor) < 200 * EPS, name  # the loss dot may cancel
        assert all(isinstance(ball, arb) for ball in answer[name].reshape(-1))


def test_a_saturated_cell_keeps_the_digits_that_one_minus_s_squared_loses(problem_of):
    """With every weight zero, f = o = ½ and dL/dc_0 = ¼ / cosh²(c_0 / 2); in float64 it is zero."""
    zero = {"inputs": "zeros", "weights": "zeros"}
    states = {"layer0.c0": {"fill": 100.0}, "default": "zeros"}
    problem = problem_of(cell="lstm", loss="dot", sizes=(1, 1, 1, 1), initial_state=states, upstream="ones", **zero)
    (ball,) = certified(problem)["layer0.c0"].reshape(-1)
    assert float(ball) == pytest.approx(0.25 / np.cosh(50.0) ** 2, rel=1e-14)


@pytest.mark.spread(2)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("readout", [False, True], ids=["states", "readout"])
@pytest.mark.parametrize(
    ("number", "reduction", "steps", "dtype"),
    [(1, "sum", "all", "float64"), (2, "mean", (1,), "float32"), (3, "mean", "all", "float64")],
    ids=str,
)
def test_it_is_the_reference_with_more_digits(
    problem_of, off_by, activation, loss, readout, number, reduction, steps, dtype
):
    problem = problem_of(
        activation=activation,
        loss=loss,
        readout=readout,
        layers=number,
        reduction=reduction,
        steps=steps,
        dtype=dtype,
    )
    answer, expected = certified(problem), in_longdouble(problem)
    assert answer.keys() == expected.keys()
    for name, tensor in expected.items():
        assert off_by(answer[name], tensor) < 50 * EPS, name


@pytest.mark.parametrize("kind", [("detach", "every"), ("window", "steps")], ids=lambda kind: kind[0])
@pytest.mark.parametrize("k", [1, 2, 4, 9])
@pytest.mark.parametrize("number", [1, 3])
def test_truncated_it_is_the_reference_with_more_digits(problem_of, off_by, kind, k, number):
    fields = {"readout": True, "layers": number, "reduction": "mean", "steps": (0, 1, 3, 4), "sizes": (2, 5, 3, 4)}
    problem = problem_of(truncation={"kind": kind[0], kind[1]: k}, **fields)
    answer, expected = certified(problem), in_longdouble(problem)
    assert answer.keys() == expected.keys()
    for name, tensor in expected.items():
        assert off_by(answer[name], tensor) < 50 * EPS, name
    in_full = certified(problem_of(**fields))  # the same arrays: what is remembered must not be taken for it
    assert (off_by(in_full["layer0.W_xh"], expected["layer0.W_xh"]) > 1e-6) == (k < (5 if kind[0] == "detach" else 4))


@pytest.mark.parametrize("name", ["layer0.W_xh", "layer1.W_hh", "layer1.b_h", "layer0.h0", "inputs", "readout.b_y"])
def test_a_wrong_element_is_far_from_it(problem_of, off_by, name):
    problem = problem_of(layers=2, readout=True)
    expected = in_longdouble(problem)[name]
    expected.flat[-1] *= 1 + np.longdouble(1e-15)
    assert off_by(certified(problem)[name], expected) > 1e-18


def test_linear_dynamics_have_no_radius(problem_of):
    """h_T = h_0 Wᵀ, the loss ⟨u, h_T⟩, small whole numbers: Σ_t h_{t-1}ᵀ u (Wᵀ)^(T−t), exactly."""
    B, T, H = 2, 5, 3
    random = np.random.default_rng(1)
    W, h0, u = random.integers(-3, 4, (H, H)), random.integers(-3, 4, (B, H)), random.integers(-3, 4, (B, T, H))
    problem = problem_of(
        activation="identity",
        loss="dot",
        steps=(-1,),
        sizes=(B, T, 4, H),
        inputs="zeros",
        weights={"layer0.W_hh": {"values": W.tolist()}, "default": "zeros"},
        initial_state={"values": h0.tolist()},
        upstream={"values": u.tolist()},
    )
    powers = [np.linalg.matrix_power(W, n) for n in range(T + 1)]
    expected = sum((h0 @ powers[t - 1]).T @ (u[:, -1] @ powers[T - t].T) for t in range(1, T + 1))
    answer = certified(problem)
    for found, wanted in ((answer["layer0.W_hh"], expected), (answer["layer0.h0"], u[:, -1] @ powers[T].T)):
        assert found.shape == wanted.shape
        for ball, number in zip(found.reshape(-1), wanted.reshape(-1).tolist(), strict=True):
            assert ball.is_exact()
            assert ball == number


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_one_unit_one_step_to_three_hundred_bits(problem_of, name):
    """∂/∂w of φ(w x) is x φ'(w x), with φ' from Arb's own hyperbolic functions."""
    problem = problem_of(
        activation=name,
        loss="dot",
        sizes=(1, 1, 1, 1),
        weights={"layer0.W_xh": {"fill": 0.7}, "default": "zeros"},
        inputs={"fill": 1.3},
        initial_state="zeros",
        upstream="ones",
    )
    ball = certified(problem)["layer0.W_xh"][0, 0]
    with ctx.workprec(300):
        a = arb(0.7) * arb(1.3)
        slope = a.sech() ** 2 if name == "tanh" else (a / 2).sech() ** 2 / 4
        assert ball.overlaps(arb(1.3) * slope)
        assert abs(ball - arb(1.3) * slope) < arb(2) ** -80


def test_the_softmax_of_a_sure_label_keeps_its_digits(problem_of):
    """With logits 0 and −200 for the label 0, 1 − softmax is e⁻²⁰⁰ / (1 + e⁻²⁰⁰)."""
    problem = problem_of(
        activation="identity",
        loss="softmax_cross_entropy",
        sizes=(1, 1, 1, 2),
        weights="zeros",
        initial_state="zeros",
        targets={"values": [[0]]},
    ).copy()
    problem.weights["layer0.b_h"][1] = -200
    ball = certified(problem)["layer0.b_h"][0]
    with ctx.workprec(300):
        e = arb(-200).exp()
        assert abs(ball + e / (1 + e)) < e * arb(2) ** -80


def test_relu_at_exactly_zero_has_the_slope_zero(problem_of):
    problem = problem_of(activation="relu", loss="dot", weights="zeros", initial_state="zeros")
    answer = certified(problem)
    assert all(ball.is_zero() for ball in answer["layer0.b_h"])
    relu = DECIDED["relu"]
    for number, slope in ((0, 0), (1e-300, 1), (-1e-300, 0)):
        at = to_balls([number])
        assert relu(at).apply([at], ()) == max(number, 0)
        assert relu(at).pull([at], 0, to_balls([1])) == slope
    with pytest.raises(UndecidedError):
        relu(to_balls([arb(0, 1e-300)]))
