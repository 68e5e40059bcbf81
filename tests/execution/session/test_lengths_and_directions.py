"""Both directions and unequal lengths in cases: whoever computes them agrees, whoever is wrong is caught."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

import harness
from harness.case import Loss, Sizes, ValidCase
from harness.case.checks import memory_needed
from harness.diagnosis import Predictions
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations
from harness.implementations import complex_step as oracle
from harness.precision.error_floor import from_wider_numbers
from harness.precision.intervals.certification import certified, work
from harness.precision.kinks import at_kink, recursions, slopes_by_sign, with_slopes
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.problem.reference import backward, forward
from harness.result import read, run

LENGTHS = (3, 5, 1, 4)
CELLS = {
    "rnn": {"cell": "rnn"},
    "lstm": {"cell": "lstm"},
    "gru, after": {"cell": "gru"},
    "gru, before": {"cell": "gru", "reset": "before"},
}
SHAPES = {
    "both directions": {"bidirectional": True},
    "unequal lengths": {"lengths": LENGTHS},
    "both": {"bidirectional": True, "lengths": LENGTHS},
}
TRUNCATIONS = ["none", {"kind": "detach", "every": 2}, {"kind": "window", "steps": 1}]


def case_of(**fields):
    numbers = {"normal": 1.0, "seed": 3}
    given = {
        "layers": 2,
        "sizes": Sizes(4, 5, 3, 6),
        "weights": {"uniform": (-0.8, 0.8), "seed": 1},
        "inputs": numbers,
        "initial_state": numbers,
        "loss": Loss("dot"),
        "upstream": numbers if fields.get("loss", Loss("dot")).kind == "dot" else None,
    }
    return ValidCase(name="wrapped", file="none", **{**given, **fields})


def problem_of(**fields):
    return build(case_of(**fields), None)


def solved(problem, name="numpy-split"):
    return run(implementations()[name], problem)


def compared(problem, actual, expected=None):
    return compare_for(problem, actual, expected or solved(problem), rounding_noise(problem), Promise(complete=True))


@pytest.fixture(params=CELLS)
def cell(request):
    return CELLS[request.param]


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.mark.spread(2)
@pytest.mark.framework
@pytest.mark.parametrize(
    ("name", "shape"),
    [*itertools.product(("torch", "torch-cell", "certified"), SHAPES), ("keras", "both"), ("tf1", "both")],
)
def test_whoever_computes_them_agrees_and_the_others_say_so(workers, name, cell, shape):
    problem = problem_of(**cell, **SHAPES[shape], layers=1, readout="linear", sizes=Sizes(4, 5, 3, 6, 2))
    chosen = implementations()[name]
    outcome = workers.run(chosen, problem)
    if chosen.reason_against(problem.case):
        assert outcome.status == "unsupported"
    else:
        assert outcome.status == "ok", outcome.reason
        comparison = compared(problem, outcome.result)
        assert comparison.matches, str(comparison)
        assert {each.tensor for each in comparison.tensors} >= problem.structure.gradients.keys()


def random_problem(random, number):
    def choose(*options):
        return options[random.integers(len(options))]

    kind, B, T = choose("squared_error", "softmax_cross_entropy", "dot"), *(int(n) for n in random.integers(1, 6, 2))
    output, bidirectional = choose(None, 2, 4), bool(random.integers(2))
    hidden = int(random.integers(1, 5))
    lengths = tuple(int(length) for length in random.integers(1, T + 1, B))
    width = output or hidden * (2 if bidirectional else 1)
    last = max(lengths) - 1
    numbers = {"normal": 1.0, "seed": number}
    cell = choose(*CELLS.values())
    return problem_of(
        **cell,
        activation=choose("tanh", "sigmoid", "identity") if cell["cell"] == "rnn" else "tanh",
        bidirectional=bidirectional,
        lengths=choose(lengths, lengths, None),
        layers=int(random.integers(1, 4)),
        sizes=Sizes(B, T, int(random.integers(1, 5)), hidden, output),
        readout="none" if output is None else "linear",
        loss=Loss(kind, choose("all", (int(random.integers(last + 1)),)), choose("sum", "mean")),
        targets={"uniform": (0, width), "seed": number} if kind == "softmax_cross_entropy" else None,
        upstream=numbers if kind == "dot" else None,
        truncation="none"
        if bidirectional
        else choose("none", {"kind": "detach", "every": 2}, {"kind": "window", "steps": 1}),
        weights={"normal": 0.8, "seed": number},
        inputs=numbers,
        initial_state=numbers,
        dtype=choose("float32", "float64"),
    )


@pytest.mark.parametrize("name", ["numpy-concat", "complex-step"])
def test_right_answers_to_random_problems_match(name):
    random = np.random.default_rng(11)
    for number in range(50):
        problem = random_problem(random, number)
        comparison = compared(problem, solved(problem, name))
        assert comparison.matches, f"{problem.case}: {comparison}"


@pytest.mark.framework
@pytest.mark.parametrize("name", ["torch", "torch-cell"])
def test_autograds_answers_to_random_problems_match(workers, name):
    random, looked = np.random.default_rng(12), 0
    for number in range(80):
        problem = random_problem(random, number)
        outcome = workers.run(implementations()[name], problem)
        if outcome.status != "unsupported":
            comparison = compared(problem, outcome.result)
            assert comparison.matches, f"{problem.case}: {comparison}"
            looked += 1
    assert looked > 35


def test_nothing_stands_past_an_end(cell, shape):
    problem = problem_of(**cell, **shape, readout="linear", sizes=Sizes(4, 5, 3, 6, 2))
    result, past = solved(problem), ~problem.valid
    assert not result.outputs[past].any()
    assert not result.gradients["inputs"][past].any()
    assert past.any() == ("lengths" in shape)
    assert result.outputs[problem.valid].all()


def test_what_stands_past_an_end_has_no_say(cell):
    problem = problem_of(**cell, bidirectional=True, lengths=LENGTHS, loss=Loss("squared_error", "all", "mean")).copy()
    expected = solved(problem)
    problem.inputs[~problem.valid] = 1e9
    problem.targets[~problem.valid] = np.nan
    for name in ("numpy-split", "numpy-concat", "complex-step"):
        comparison = compared(problem, solved(problem, name), expected)
        assert comparison.matches, f"{name}: {comparison}"


@pytest.mark.spread(2)
@pytest.mark.parametrize("name", ["numpy-split", "complex-step"])
@pytest.mark.parametrize(
    "truncation", ["none", {"kind": "detach", "every": 2}, {"kind": "window", "steps": 1}], ids=str
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_batch_has_the_gradients_of_its_sequences_alone(name, cell, bidirectional, truncation):
    """A sequence of length L in a batch is the same sequence alone with sizes.time L."""
    if bidirectional and truncation != "none":
        return
    sizes = Sizes(4, 5, 2, 3)
    problem = problem_of(**cell, bidirectional=bidirectional, lengths=LENGTHS, truncation=truncation, sizes=sizes)
    together = solved(problem, name).tensors
    total = {tensor: np.zeros_like(array) for tensor, array in together.items()}
    for b, length in enumerate(LENGTHS):
        sizes = replace(problem.case.sizes, batch=1, time=length)
        alone = replace(
            problem,
            case=replace(problem.case, sizes=sizes, lengths=None),
            inputs=problem.inputs[[b], :length],
            targets=problem.targets[[b], :length],
            initial_state={state: array[[b]] for state, array in problem.initial_state.items()},
        )
        for tensor, array in solved(alone, name).tensors.items():
            if tensor in ("inputs", "outputs"):
                total[tensor][b, :length] = array[0]
            elif tensor in problem.initial_state:
                total[tensor][b] = array[0]
            else:
                total[tensor] += array
    for tensor, array in together.items():
        np.testing.assert_allclose(array, total[tensor], rtol=1e-12, atol=1e-13, err_msg=tensor)


WRONG = {
    "padding-carried-back": {"layer0.W_xh", "layer0.reverse.W_hh", "inputs"},
    "lengths-ignored": {"loss", "outputs", "layer0.W_xh"},
    "mean-over-padding": {"loss", "layer0.W_xh", "layer0.reverse.b_h", "inputs"},
    "reverse-starts-in-padding": {"outputs", "layer0.reverse.W_hh", "layer0.reverse.h0"},
    "reverse-outputs-not-realigned": {"outputs", "layer0.reverse.W_xh"},
    "reverse-gradient-in-forward-order": {"layer0.reverse.W_hh", "layer0.W_xh"},
    "directions-swapped": {"outputs", "layer1.W_xh"},
}
"""Faults, each with some tensors that must be off."""


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_answer_is_caught(fault, cell):
    loss = Loss("squared_error", "all", "mean")
    problem = problem_of(**cell, bidirectional=True, lengths=LENGTHS, loss=loss, dtype="float32")
    predictions = Predictions(problem, rounding_noise(problem))
    wrong, *_ = predictions.singles([fault])
    actual = {name: tensor.astype("float32") for name, tensor in {**predictions.truth, **wrong.changed}.items()}
    comparison = compared(problem, actual)
    assert {each.tensor for each in comparison.disagreements} >= WRONG[fault]


@pytest.mark.parametrize("factor", [1.01, 0.0], ids=str)
def test_every_wrong_tensor_is_caught(cell, factor):
    problem = problem_of(**cell, bidirectional=True, lengths=LENGTHS)
    right, noise = solved(problem), rounding_noise(problem)
    for name, tensor in right.tensors.items():
        comparison = compare_for(
            problem, {**right.tensors, name: tensor * factor}, right, noise, Promise(complete=True)
        )
        assert [each.tensor for each in comparison.tensors if each.verdict != "match"] == [name]


def test_outputs_past_an_end_are_compared(cell):
    """They are zero to the bit: the tolerance of a tensor lets nothing stand there but rounding."""
    problem = problem_of(**cell, lengths=LENGTHS)
    right = solved(problem).tensors
    outputs = right["outputs"].copy()
    outputs[2, 1] = 1e-6
    (wrong,) = compared(problem, {**right, "outputs": outputs}).disagreements
    assert wrong.tensor == "outputs"


def test_the_floor_of_wider_numbers(cell, shape):
    problem = problem_of(**cell, **shape, layers=1, sizes=Sizes(4, 5, 2, 2), dtype="float32", loss=Loss())
    baseline = solved(problem).tensors
    for name, errors in from_wider_numbers(problem, baseline).errors.items():
        assert errors.max() <= 30 * np.finfo("float32").eps * np.abs(baseline[name]).max(), name


def test_lengths_and_directions_are_part_of_what_is_certified():
    """An answer is cached, and not for another problem with the same arrays."""
    one = problem_of(layers=1, lengths=LENGTHS)
    other = replace(one, case=replace(one.case, lengths=(3, 5, 2, 4)))
    assert float(certified(one)["loss"][()]) != float(certified(other)["loss"][()])
    assert float(certified(one)["loss"][()]) == pytest.approx(float(solved(one).loss), rel=1e-13)


def test_relu_at_its_kink_is_certified_or_the_precision_is_raised():
    problem = problem_of(activation="relu", bidirectional=True, lengths=LENGTHS)
    answer = certified(problem)
    for name, tensor in solved(problem).tensors.items():
        np.testing.assert_allclose(
            [float(ball) for ball in answer[name].reshape(-1)], tensor.reshape(-1), rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("shape", ["both directions", "unequal lengths", "both"])
def test_more_work_is_estimated(shape):
    plain = problem_of()
    wrapped = problem_of(**SHAPES[shape])
    assert work(wrapped) > work(plain)
    assert (memory_needed(wrapped.case) > memory_needed(plain.case)) == ("bidirectional" in SHAPES[shape])


@pytest.fixture
def sampled(monkeypatch):
    """Let the oracle take a few elements of each tensor."""

    def of(problem, share=3):
        one = oracle.work_of_one(problem)
        tensors = len([name for name in problem.structure.gradients if not name.startswith("readout.")])
        monkeypatch.setattr(oracle, "MOST_WORK", one * tensors)
        monkeypatch.setattr(oracle, "SAMPLED_WORK", share * one * tensors)
        return run(implementations()["complex-step"], problem)

    return of


def test_a_sample_of_a_large_problem(sampled, cell, shape):
    problem = problem_of(**cell, **shape, readout="linear", sizes=Sizes(4, 5, 3, 6, 2))
    comparison = compared(problem, sampled(problem))
    assert comparison.matches, str(comparison)
    elements = {each.tensor: each.elements for each in comparison.tensors}
    assert elements["layer1.W_hh"] == 3
    assert "directional" in elements


def test_an_error_that_the_sample_misses_is_seen_by_the_directions(sampled, cell):
    problem = problem_of(**cell, bidirectional=True, lengths=LENGTHS)
    for name in ("layer0.reverse.W_hh", "layer1.W_xh", "layer0.h0"):
        found, expected = sampled(problem), solved(problem)
        at = tuple(int(axis[0]) for axis in np.nonzero(~found.known[name]))
        expected.gradients[name][at] += 1e-6 * np.abs(expected.gradients[name]).max()
        assert {each.tensor for each in compared(problem, found, expected).disagreements} == {"directional"}


@pytest.fixture
def with_a_dead_unit():
    """Unit 2 of the first layer's reverse direction has a pre-activation of exactly zero at every step."""
    problem = problem_of(activation="relu", bidirectional=True, lengths=LENGTHS).copy()
    for name in ("W_xh", "W_hh"):
        problem.weights[f"layer0.reverse.{name}"][:, 2] = 0
    problem.weights["layer0.reverse.b_h"][2] = 0
    return problem


def taking(problem, slope):
    """The gradient of somebody who takes a slope at zero."""
    passed = forward(problem)
    slopes = [
        np.where(one.cache.pre == 0, slope, own)
        for one, own in zip(recursions(passed), slopes_by_sign(passed), strict=True)
    ]
    loss, d_outputs = problem.loss(passed.outputs)
    gradients = backward(problem, with_slopes(passed, slopes), d_outputs)
    return read({"loss": loss, "outputs": passed.outputs, **gradients}, "split", problem, 0.0)


def test_kinks_are_found_in_each_direction(with_a_dead_unit):
    passed = forward(with_a_dead_unit)
    found = zip(recursions(passed), at_kink(passed, with_a_dead_unit.weights), strict=True)
    dead = {(one.block, at.any(axis=(0, 1)).nonzero()[0].tolist() == [2]) for one, at in found if at.any()}
    assert dead == {("layer0.reverse", True)}


@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_another_slope_at_a_kink_is_named_where_the_case_counts_it(with_a_dead_unit, slope):
    comparison = compared(with_a_dead_unit, taking(with_a_dead_unit, slope))
    assert comparison.matches, str(comparison)
    named = {each.tensor: each.reason for each in comparison.tensors if each.reason}
    assert "layer0.reverse.W_hh" in named
    # The first group is of length 1: sequence 2, whose reverse direction begins and ends at step 0.
    where = "at layer 0.reverse, step 0, sequence 2, unit 2; slope"
    for reason in named.values():
        assert reason.startswith(
            f"at the kink of relu: takes slope {slope:g} where the baseline takes 0, a = 0 {where}"
        )
        assert "at layer 0.reverse, step 2, sequence 0, unit 2" in reason


def test_a_wrong_gradient_at_a_kink_is_a_mismatch(with_a_dead_unit):
    wrong = taking(with_a_dead_unit, 1.0)
    wrong.gradients["layer0.reverse.W_xh"][...] *= 1.001
    assert compared(with_a_dead_unit, wrong).verdict == "mismatch"


@pytest.mark.framework
def test_keras_repeats_its_last_output_and_nothing_else(workers, cell):
    problem = problem_of(**cell, lengths=LENGTHS)
    outcome = workers.run(implementations()["keras-repeated"], problem)
    assert outcome.status == "ok", outcome.reason
    assert [each.tensor for each in compared(problem, outcome.result).disagreements] == ["outputs"]
    for outputs, length in zip(outcome.result.outputs, LENGTHS, strict=True):
        assert (outputs[length:] == outputs[length - 1]).all()


@pytest.mark.framework
@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("keras-repeated", {"bidirectional": True, "lengths": LENGTHS}, "Bidirectional sets zero_output_for_mask"),
        ("keras-repeated", {}, "nothing past an end"),
        ("keras-go-backwards", {}, "only bidirectional layers"),
        ("keras-go-backwards", {"bidirectional": True, "lengths": LENGTHS}, "sequences of equal length"),
    ],
    ids=["both", "equal", "one direction", "unequal"],
)
def test_what_differs_on_purpose_says_what_it_is_not_for(workers, name, fields, reason):
    outcome = workers.run(implementations()[name], problem_of(**fields))
    assert outcome.status == "unsupported"
    assert reason in outcome.reason


@pytest.mark.framework
@pytest.mark.parametrize("framework", ["torch", "keras", "tf1"])
def test_the_directions_of_native_weights_differ(workers, framework):
    problem = build(
        case_of(cell="lstm", bidirectional=True, weights={"from": framework, "seed": 0}), workers.native_weights
    )
    assert problem.weights.keys() == problem.structure.weights.keys()
    for n in range(2):
        assert not np.array_equal(problem.weights[f"layer{n}.W_xh"], problem.weights[f"layer{n}.reverse.W_xh"])
    if framework != "torch":  # whose biases are drawn
        forget = problem.weights["layer1.reverse.b_h"].reshape(4, -1)[1]
        np.testing.assert_array_equal(forget, 1)


def test_who_returns_one_direction_alone_is_told_what_is_missing():
    problem = problem_of(bidirectional=True)
    result = solved(problem)
    forward_alone = {name: each for name, each in result.tensors.items() if ".reverse" not in name}
    missing = [each for each in compared(problem, forward_alone).disagreements if "reverse" in each.tensor]
    assert len(missing) == 2 * 4


def test_outputs_of_one_direction_are_refused_by_the_loss():
    problem = problem_of(bidirectional=True)
    with pytest.raises(ValueError, match=r"has shape \(4, 5, 6\), but should have \(4, 5, 12\)"):
        problem.loss(np.zeros((4, 5, 6)))


def test_a_users_function_is_given_the_lengths():
    @harness.implementation("mine", supports={"bidirectional": (False,)})
    def mine(problem):
        assert problem.lengths.tolist() == list(LENGTHS)
        assert problem.valid.sum() == sum(LENGTHS)
        return {"layer0.b_h": np.zeros_like(problem.weights["layer0.b_h"])}

    assert harness.run(mine, problem_of(lengths=LENGTHS)).gradients.keys() == {"layer0.b_h"}
    with pytest.raises(harness.Unsupported, match="bidirectional is True, but mine has only False"):
        harness.run(mine, problem_of(bidirectional=True, lengths=LENGTHS))
