"""The mistakes that people make in backpropagation through time, in the results of real problems: all are caught."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.comparison import ComparisonPolicy, compare
from harness.implementations import implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run
from reference_impls import network, rnn_split
from reference_impls.activations import ACTIVATIONS, Activation

H = 5
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


@pytest.fixture(scope="module", params=["float32", "float64"])
def dtype(request):
    return request.param


def make_problem(dtype, **changes):
    return build(
        ValidCase(
            name="wrong gradients",
            file="none",
            **{
                "sizes": Sizes(batch=2, time=4, input=3, hidden=H, output=2),
                "layers": 3,
                "readout": "linear",
                "dtype": dtype,
                "weights": {"uniform": (-0.9, 0.9), "seed": 1},
                "inputs": {"normal": 1.0, "seed": 2},
                "initial_state": {"normal": 0.5, "seed": 3},
                "targets": {"normal": 1.0, "seed": 4},
                **changes,
            },
        ),
        None,
    )


@pytest.fixture(scope="module")
def solved(dtype):
    problem = make_problem(dtype)
    result = run(implementations()["numpy-split"], problem)
    return SimpleNamespace(problem=problem, tensors=result.tensors, noise=rounding_noise(problem))


def judged(solved, actual, **options):
    return compare(actual, solved.tensors, ComparisonPolicy(noise=solved.noise, **options))


def blamed(comparison):
    return {each.tensor for each in comparison.disagreements}


def test_the_right_answer_matches(solved):
    comparison = judged(solved, solved.tensors)
    assert comparison.matches
    assert comparison.elements == sum(tensor.size for tensor in solved.tensors.values())
    assert not comparison.disagreements


def test_any_single_element_off_is_caught_and_only_it(solved, dtype):
    """By a millionth of itself in float64; by a thousandth in float32, whose own roundings are that much larger."""
    share = {"float64": 1e-6, "float32": 1e-3}[dtype]
    for name, tensor in solved.tensors.items():
        for index in np.ndindex(tensor.shape):
            if abs(tensor[index]) < 0.05 * np.abs(tensor).max():
                continue  # in float32 the bound may be wider than this share of it
            wrong = tensor.copy()
            wrong[index] *= 1 + share
            comparison = judged(solved, {**solved.tensors, name: wrong})
            assert comparison.verdict == "mismatch", (name, index)
            (found,) = comparison.disagreements
            assert (found.tensor, found.failed, found.worst_index) == (name, 1, index)


WRONG = {
    "a thousandth too large": lambda tensor: tensor * np.array(1.001, tensor.dtype),
    "the other sign": lambda tensor: -tensor,
    "all zero": np.zeros_like,
    "twice": lambda tensor: tensor + tensor,
    "half": lambda tensor: tensor / 2,
    "off by a constant": lambda tensor: tensor + np.array(1e-3, tensor.dtype),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_whole_tensor_wrong_is_caught_and_only_it(solved, change):
    for name, tensor in solved.tensors.items():
        comparison = judged(solved, {**solved.tensors, name: change(tensor)})
        assert (comparison.verdict, blamed(comparison)) == ("mismatch", {name})
        assert comparison.disagreements[0].failed > tensor.size / 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_nonfinite_element_is_an_error_whatever_is_allowed(solved, value):
    for name, tensor in solved.tensors.items():
        wrong = tensor.copy()
        wrong.flat[-1] = value
        for policy in ("refused", "allowed"):
            comparison = judged(solved, {**solved.tensors, name: wrong}, nonfinite=policy)
            assert (comparison.verdict, blamed(comparison)) == ("error", {name})


def test_transposed_square_matrices_are_caught(solved):
    for name, tensor in solved.tensors.items():
        if tensor.shape == (H, H):
            comparison = judged(solved, {**solved.tensors, name: tensor.T})
            assert (comparison.verdict, blamed(comparison)) == ("mismatch", {name})


@pytest.mark.parametrize("tensor", ["W_xh", "W_hh", "b_h", "h0"])
def test_swapped_layers_are_caught(solved, tensor):
    pair = {f"layer1.{tensor}", f"layer2.{tensor}"}
    first, second = sorted(pair)
    swapped = {first: solved.tensors[second], second: solved.tensors[first]}
    comparison = judged(solved, {**solved.tensors, **swapped})
    assert (comparison.verdict, blamed(comparison)) == ("mismatch", pair)


def test_rolled_gates_steps_and_sequences_are_caught(solved):
    for name, tensor in solved.tensors.items():
        for axis, size in enumerate(tensor.shape):
            if size > 1:
                comparison = judged(solved, {**solved.tensors, name: np.roll(tensor, 1, axis)})
                assert (comparison.verdict, blamed(comparison)) == ("mismatch", {name})


def without_the_first_step(cache, d_outputs):
    """Forget the first step in the sums over the steps: its input and the state before it count as zero."""
    x, states = cache.x.copy(), cache.states.copy()
    x[0], states[0] = 0, 0
    return rnn_split.backward(cache._replace(x=x, states=states), d_outputs)


def without_the_state_of_before(cache, d_outputs):
    """Take h_t for h_{t-1} in the gradient of the recurrent weights."""
    d_x, d_h0, gradients = rnn_split.backward(cache, d_outputs)
    late = np.concatenate([cache.states[1:], cache.states[-1:]])
    _, _, wrong = rnn_split.backward(cache._replace(states=late), d_outputs)
    return d_x, d_h0, {**gradients, "W_hh": wrong["W_hh"]}


def without_recurrence(cache, d_outputs):
    """Cut the gradient between steps."""
    return rnn_split.backward(cache._replace(W_hh=np.zeros_like(cache.W_hh)), d_outputs)


def with_transposed_recurrence(cache, d_outputs):
    return rnn_split.backward(cache._replace(W_hh=cache.W_hh.T), d_outputs)


def without_the_slope(cache, d_outputs):
    return rnn_split.backward(cache._replace(activation=ACTIVATIONS["identity"]), d_outputs)


def with_the_slope_of_another_function(cache, d_outputs):
    """1 − h in place of 1 − h²."""
    tanh = Activation(ACTIVATIONS["tanh"].value, lambda h: 1 - h)
    return rnn_split.backward(cache._replace(activation=tanh), d_outputs)


def without_the_last_upstream(cache, d_outputs):
    d_outputs = d_outputs.copy()
    d_outputs[-1] = 0
    return rnn_split.backward(cache, d_outputs)


BACKWARD = {
    without_the_first_step: {"W_xh", "W_hh"},
    without_the_state_of_before: {"W_hh"},
    without_recurrence: {"W_xh", "W_hh", "b_h", "h0", "inputs"},
    with_transposed_recurrence: {"W_xh", "W_hh", "b_h", "h0", "inputs"},
    without_the_slope: {"W_xh", "W_hh", "b_h", "h0", "inputs"},
    with_the_slope_of_another_function: {"W_xh", "W_hh", "b_h", "h0", "inputs"},
    without_the_last_upstream: {"W_xh", "W_hh", "b_h", "h0", "inputs"},
}


@pytest.mark.parametrize(("backward", "kinds"), BACKWARD.items(), ids=[each.__name__ for each in BACKWARD])
def test_a_wrong_backward_pass_is_caught_in_every_tensor_that_it_spoils(solved, backward, kinds):
    problem = solved.problem
    layer = SimpleNamespace(WEIGHTS=rnn_split.WEIGHTS, forward=rnn_split.forward, backward=backward)
    passed = network.forward(layer, problem.weights, problem.inputs, problem.initial_state, ACTIVATIONS["tanh"])
    loss, d_outputs = problem.loss(passed.outputs)
    gradients = network.backward(layer, problem.weights, passed, d_outputs)
    comparison = judged(solved, {"loss": loss, "outputs": passed.outputs, **gradients})
    assert comparison.verdict == "mismatch"
    assert blamed(comparison) == {name for name in gradients if name.rpartition(".")[2] in kinds}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t[..., None],
        lambda t: t[None],
        lambda t: t.ravel(),
        lambda t: t[:-1],
        lambda t: t.T,
        lambda t: t[..., :0],
    ],
    ids=["axis behind", "axis in front", "flat", "shorter", "transposed", "empty"],
)
def test_a_wrong_shape_is_caught_without_comparing_any_number(solved, wrong):
    tensor = solved.tensors["layer0.W_xh"]
    comparison = judged(solved, {**solved.tensors, "layer0.W_xh": wrong(tensor)})
    (found,) = comparison.disagreements
    assert (found.tensor, found.verdict, found.failed, found.elements) == ("layer0.W_xh", "mismatch", 15, 15)
    assert found.metrics is None
    assert str(wrong(tensor).shape) in found.reason
    assert str((3, H)) in found.reason


def test_the_other_dtype_is_caught_though_the_numbers_are_near(solved, dtype):
    other = {"float32": np.float64, "float64": np.float32}[dtype]
    for name, tensor in solved.tensors.items():
        comparison = judged(solved, {**solved.tensors, name: tensor.astype(other)})
        assert (comparison.verdict, blamed(comparison)) == ("mismatch", {name})
        assert dtype in comparison.disagreements[0].reason


def test_a_missing_tensor_is_caught(solved):
    for name in solved.tensors:
        rest = {each: tensor for each, tensor in solved.tensors.items() if each != name}
        comparison = judged(solved, rest)
        assert (comparison.verdict, blamed(comparison)) == ("mismatch", {name})
        assert judged(solved, rest, complete=False).not_provided == (name,)


def test_a_tensor_that_is_none_of_the_problem_is_caught(solved):
    for complete in (True, False):
        comparison = judged(solved, {**solved.tensors, "layer3.W_hh": np.zeros((H, H))}, complete=complete)
        assert (comparison.verdict, blamed(comparison)) == ("mismatch", {"layer3.W_hh"})


def test_a_shuffled_mapping_is_the_same_answer(solved):
    backwards = dict(reversed(solved.tensors.items()))
    comparison = judged(solved, backwards)
    assert comparison.matches
    assert [each.tensor for each in comparison.tensors] == list(solved.tensors)


def test_rounding_noise_matches(solved, dtype):
    """A few units of the largest element's last place, in every element, up and down."""
    random = np.random.default_rng(5)
    for _ in range(20):
        noisy = {}
        for name, tensor in solved.tensors.items():
            noise = random.uniform(-4, 4, tensor.shape) * EPS[dtype] * np.abs(tensor).max()
            noisy[name] = (tensor + noise).astype(dtype)
        assert any((noisy[name] != tensor).any() for name, tensor in solved.tensors.items())
        assert judged(solved, noisy).matches


def test_the_other_derivation_matches(solved):
    comparison = judged(solved, run(implementations()["numpy-concat"], solved.problem))
    assert comparison.matches, str(comparison)
    assert {each.tensor for each in comparison.tensors} == solved.tensors.keys()


def test_the_rounded_answer_of_higher_precision_matches(solved, dtype):
    p = solved.problem
    weights, initial_state = (
        {name: array.astype(np.longdouble) for name, array in each.items()} for each in (p.weights, p.initial_state)
    )
    passed = network.forward(rnn_split, weights, p.inputs.astype(np.longdouble), initial_state, ACTIVATIONS["tanh"])
    loss, d_outputs = p.loss(passed.outputs)
    answer = {"loss": loss, "outputs": passed.outputs, **network.backward(rnn_split, weights, passed, d_outputs)}
    precise = {name: np.asarray(each).astype(dtype) for name, each in answer.items()}
    assert judged(solved, precise).matches


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["squared_error", "softmax_cross_entropy", "dot"])
def test_every_kind_of_problem_lets_the_right_answer_pass_and_no_wrong_one(dtype, activation, kind):
    data = {"normal": 1.0, "seed": 6}
    given = {
        "squared_error": {"targets": data},
        "softmax_cross_entropy": {"targets": {"uniform": (0, 2), "seed": 6}},
        "dot": {"targets": None, "upstream": data},
    }
    problem = make_problem(dtype, activation=activation, loss=Loss(kind, (-2, -1), "mean"), **given[kind])
    expected, noise = run(implementations()["numpy-split"], problem), rounding_noise(problem)
    right = run(implementations()["numpy-concat"], problem)
    comparison = compare(right, expected, ComparisonPolicy(noise=noise))
    assert comparison.matches, str(comparison)
    for name, tensor in expected.tensors.items():
        assert tensor.any(), name
        wrong = (tensor * 1.001).astype(dtype)
        assert blamed(compare({**right.tensors, name: wrong}, expected, ComparisonPolicy(noise=noise))) == {name}
