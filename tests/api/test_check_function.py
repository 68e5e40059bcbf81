"""A function's gradients against its own loss: right ones match in any dtype, wrong ones do not, others are refused."""

import numpy as np
import pytest

import harness

pytestmark = pytest.mark.slow


def arrays(dtype=np.float64, T=6):
    random = np.random.default_rng(0)
    shapes = {"W": (3, 4), "U": (4, 4), "b": (4,), "x": (2, T, 3), "h0": (2, 4)}
    return {name: (random.normal(size=shape) / 2).astype(dtype) for name, shape in shapes.items()}


def rnn(given, factor=1.0, carry=True):
    """Return the loss Σ h² of a plain rnn, and its gradients; ``factor`` and ``carry`` make them wrong."""
    W, U, b, x, h = (given[name] for name in ("W", "U", "b", "x", "h0"))
    states = [h]
    for t in range(x.shape[1]):
        states.append(np.tanh(x[:, t] @ W + states[-1] @ U + b))
    loss = sum((h * h).sum() for h in states[1:])
    gradients = {name: np.zeros_like(array) for name, array in given.items()}
    dh = np.zeros_like(h)
    for t in reversed(range(x.shape[1])):
        h = states[t + 1]
        da = (dh + 2 * h) * (1 - h * h)
        gradients["W"] += x[:, t].T @ da
        gradients["U"] += factor * (states[t].T @ da)
        gradients["b"] += da.sum(0)
        gradients["x"][:, t] = da @ W.T
        dh = da @ U.T if carry else 0 * dh
    gradients["h0"] = dh
    return loss, gradients


def of_real_numbers(given, **options):
    if any(np.iscomplexobj(array) for array in given.values()):
        raise TypeError("real numbers alone")
    return rnn(given, **options)


@pytest.mark.parametrize("function", [rnn, of_real_numbers], ids=["complex step", "differences"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("T", [1, 6, 40])
def test_right_gradients_match(function, dtype, T):
    assert harness.check_function(function, arrays(dtype, T)).matches


@pytest.mark.parametrize("function", [rnn, of_real_numbers], ids=["complex step", "differences"])
@pytest.mark.parametrize(("dtype", "factor"), [(np.float64, 1 + 1e-6), (np.float32, 1.02)], ids=["float64", "float32"])
def test_a_wrong_factor_is_seen_in_its_tensor(function, dtype, factor):
    found = harness.check_function(lambda given: function(given, factor=factor), arrays(dtype))
    assert [each.tensor for each in found.disagreements] == ["U"]
    if function is of_real_numbers:
        assert "the error of the derivative" in str(found)


def test_a_gradient_that_is_not_carried_back_is_seen():
    found = harness.check_function(lambda given: rnn(given, carry=False), arrays())
    assert {each.tensor for each in found.disagreements} == {"W", "U", "b", "x", "h0"}


def test_where_a_complex_step_lies_differences_count():
    def of_abs(given):
        return np.abs(given["W"]).sum(), {"W": np.sign(given["W"].real)}

    assert harness.check_function(of_abs, {"W": arrays()["W"]}).matches


def test_of_a_large_array_a_sample_is_compared():
    def square(given):
        return (given["W"] ** 2).sum() / 2, {"W": given["W"]}

    found = harness.check_function(square, {"W": np.random.default_rng(1).normal(size=(40, 50))})
    assert found.matches
    assert "48 of 2,000 elements compared" in found.tensors[0].reason


REFUSED = {
    "a name without an array": (lambda given: (1.0, {"w": given["W"]}), ValueError, "a gradient is called 'w'"),
    "a loss of each sequence": (lambda _: (np.ones(3), {}), ValueError, "should be one finite number"),
    "a loss that is NaN": (lambda _: (float("nan"), {}), ValueError, "should be one finite number"),
    "a row": (lambda given: (1.0, {"W": given["W"][0]}), ValueError, r"W: the gradient has shape \(4,\)"),
    "a loss alone": (lambda _: 3.0, TypeError, r"should return \(loss, \{name: gradient\}\)"),
}


@pytest.mark.parametrize(("function", "error", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_loss_with_gradients_is_refused(function, error, text):
    with pytest.raises(error, match=text):
        harness.check_function(function, {"W": np.ones((3, 4))})


def test_a_loss_that_is_drawn_is_refused():
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two calls with the same arrays"):
        harness.check_function(lambda given: (random.normal(), {"W": given["W"]}), {"W": np.ones(2)})


def test_a_loss_without_a_derivative_is_refused():
    def jump(given):
        return float(given["W"].real[0] > 0.5), {"W": 0 * given["W"]}

    with pytest.raises(ValueError, match="W: differences of the loss find no derivative"):
        harness.check_function(jump, {"W": np.array([0.5])})


def test_arguments_of_the_wrong_kind_are_refused():
    with pytest.raises(TypeError, match="function is of type float, but should be"):
        harness.check_function(1.0, arrays())
    with pytest.raises(TypeError, match="arrays is of type list, but should be a dictionary"):
        harness.check_function(rnn, [1.0])
    with pytest.raises(ValueError, match=r"arrays\['labels'\] has dtype int64, but should hold floats"):
        harness.check_function(rnn, {**arrays(), "labels": np.arange(3)})
