"""The training loop: which sequences a step sees, whose loss it is, and what becomes of rate, state and weights."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from harness.case import Sizes
from harness.implementations import Unsupported, implementation, implementations
from harness.problem import Batches
from harness.problem.reference import forward, solve
from harness.training import Rules, TrainingFailed, run, train
from reference_impls import optimisers


def exactly(problem):
    found = solve(problem)
    return found["loss"], found


def watched(problem):
    """Train, and return what became of it with the problem of each step."""
    seen = []

    def loss_and_gradients(of_step):
        seen.append(of_step)
        return exactly(of_step)

    return train(problem, loss_and_gradients), seen


def test_the_loss_of_a_step_is_the_one_before_its_update(problem_of):
    problem = problem_of({"steps": 3})
    trained, seen = watched(problem)
    assert trained.losses[0] == solve(problem)["loss"]
    weights = dict(problem.weights)
    for step in range(3):
        assert all(np.array_equal(seen[step].weights[name], weights[name]) for name in weights)
        found = solve(replace(problem, weights=weights))
        assert trained.losses[step] == found["loss"]
        weights = optimisers.sgd(weights, found, 0.02)
    assert all(np.array_equal(trained.weights[name], weights[name]) for name in weights)


def test_sequences_come_in_turn_and_from_the_top_again(problem_of):
    problem = problem_of({"steps": 5, "batch": 2}, sizes=Sizes(6, 4, 3, 5, 6))
    _, seen = watched(problem)
    for of_step, rows in zip(seen, ([0, 1], [2, 3], [4, 5], [0, 1], [2, 3]), strict=True):
        assert np.array_equal(of_step.inputs, problem.inputs[rows])
        assert np.array_equal(of_step.targets, problem.targets[rows])
        assert np.array_equal(of_step.initial_state["layer0.h0"], problem.initial_state["layer0.h0"][rows])
        assert of_step.case.sizes.batch == 2
        assert of_step.case.training == "none"
        assert solve(of_step)["outputs"].shape == of_step.structure.outputs == (2, 4, 6)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_carried_state_is_the_last_one_of_the_step_before(problem_of, cell):
    problem = problem_of({"steps": 4, "batch": 1, "carry_state": True}, cell=cell, layers=2, activation="tanh")
    _, seen = watched(problem)
    assert all(np.array_equal(each, problem.initial_state[name][:1]) for name, each in seen[0].initial_state.items())
    for before, after in pairwise(seen):
        for n, cache in enumerate(forward(before).caches):
            for name, last in zip(("h0", "c0"), cache.last, strict=False):
                assert np.array_equal(after.initial_state[f"layer{n}.{name}"], last)
        assert after.initial_state.keys() == problem.initial_state.keys()


def test_without_it_each_step_starts_with_its_own_sequences_initial_state(problem_of):
    problem = problem_of({"steps": 3, "batch": 1})
    _, seen = watched(problem)
    for step, row in enumerate((0, 1, 0)):
        assert np.array_equal(seen[step].initial_state["layer0.h0"], problem.initial_state["layer0.h0"][[row]])


def test_frozen_weights_stay_and_have_no_part_in_the_norm(problem_of):
    problem = problem_of({"frozen": ["layer0.W_hh", "readout.b_y"]})
    trained, _ = watched(problem)
    for name, each in trained.weights.items():
        assert np.array_equal(each, problem.weights[name]) == (name in ("layer0.W_hh", "readout.b_y")), name
    found = solve(problem)
    others = {name: found[name] for name in ("layer0.W_xh", "layer0.b_h", "readout.W_hy")}
    assert trained.norms[0] == optimisers.global_norm(others)


def test_clipping_is_by_value_first_and_the_norm_is_told_before_either(problem_of):
    problem = problem_of({"steps": 1, "clip_value": 0.3, "clip_norm": 0.5})
    trained, _ = watched(problem)
    found = solve(problem)
    gradients = {name: found[name] for name in problem.weights}
    assert trained.norms[0] == optimisers.global_norm(gradients)
    expected = optimisers.clipped_by_norm(optimisers.clipped_by_value(gradients, 0.3), 0.5)
    other = optimisers.clipped_by_value(optimisers.clipped_by_norm(gradients, 0.5), 0.3)
    for name, w in problem.weights.items():
        assert np.array_equal(trained.weights[name], w - 0.02 * expected[name])
    assert any(not np.allclose(expected[name], other[name]) for name in expected)


def losses_in_turn(losses):
    """Answer with these losses, one after the other, and no gradient to speak of."""
    left = iter(losses)

    def loss_and_gradients(of_step):
        return np.asarray(next(left)), {name: np.zeros_like(w) for name, w in of_step.weights.items()}

    return loss_and_gradients


@pytest.mark.parametrize(
    ("batch", "losses", "rates"),
    [
        (2, [5, 4, 4, 4.5, 4.4, 6], [1, 1, 1, 0.5, 0.5, 0.25]),
        # Passes of 5 + 1, 2 + 3, 4 + 2: a single sequence's loss may rise; the pass must.
        (1, [5, 1, 2, 3, 4, 2], [1, 1, 1, 1, 1, 0.5]),
        (2, [5, float("nan"), 4, 6, float("inf"), 7], [1, 1, 1, 0.5, 0.25, 0.25]),
    ],
    ids=["each step a pass", "two steps to a pass", "not finite"],
)
def test_the_rate_is_halved_when_the_loss_of_a_pass_rises(problem_of, batch, losses, rates):
    training = {"steps": 6, "batch": batch, "optimizer": {"sgd": {"lr": 1.0}}, "halve_lr_when_loss_rises": True}
    assert train(problem_of(training), losses_in_turn(losses)).rates.tolist() == rates
    never = train(problem_of({**training, "halve_lr_when_loss_rises": False}), losses_in_turn(losses))
    assert set(never.rates) == {1.0}


def test_the_last_batch_of_a_pass_ends_it(problem_of):
    batches = Batches(problem_of({"batch": 1}, sizes=Sizes(3, 2, 2, 2, 6)))
    assert [batches.ends_a_pass(s) for s in range(6)] == [False, False, True, False, False, True]


def test_a_batch_has_the_lengths_of_its_own_sequences(problem_of):
    batches = Batches(problem_of({"batch": 1}, sizes=Sizes(3, 4, 2, 2, 6), lengths=(4, 1, 2)))
    of_steps = [batches.of_step(s, {}) for s in range(4)]
    assert [each.case.lengths for each in of_steps] == [(4,), (1,), (2,), (4,)]
    assert [int(each.covered.sum()) for each in of_steps] == [4, 1, 2, 4]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_everything_stays_in_the_dtype_of_the_case(problem_of, dtype, optimizer):
    training = {"optimizer": {optimizer: {"lr": 0.1}}, "clip_value": 0.5, "clip_norm": 0.7, "carry_state": True}
    trained, seen = watched(problem_of(training, dtype=dtype))
    found = [*trained.tensors.values(), *seen[-1].weights.values(), *seen[-1].initial_state.values()]
    assert {each.dtype for each in found} == {np.dtype(dtype)}


def test_each_training_has_rules_of_its_own(problem_of):
    """Moments that were kept from the training before would change this one."""
    problem = problem_of({"optimizer": {"adam": {"lr": 0.1}}})
    one, other = (train(problem, exactly) for _ in range(2))
    assert np.array_equal(one.losses, other.losses)
    rules = Rules(problem.case.training)
    train(problem, exactly, rules)
    assert not np.array_equal(train(problem, exactly, rules).losses, one.losses)


def failing_from(step, error):
    calls = []

    @implementation("failing")
    def failing(problem):
        calls.append(problem)
        if len(calls) > 1 + step:  # the first call is for the gradients of the problem itself
            raise error
        return solve(problem)

    return failing


def test_who_raises_in_a_step_has_answered_to_the_problem(problem_of):
    problem = problem_of({})
    with pytest.raises(TrainingFailed, match=r"^step 3 of training, counted from 0$") as failed:
        run(failing_from(3, ValueError("shapes")), problem)
    assert str(failed.value.error) == "shapes"
    assert failed.value.result.gradients.keys() == problem.structure.gradients.keys()


def test_who_cannot_represent_a_step_says_why_and_is_not_trained(problem_of):
    found = run(failing_from(2, Unsupported("only short ones")), problem_of({}))
    assert (found.untrained, dict(found.training)) == ("step 2 of training: only short ones", {})


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("loss", "there is no training without a loss"),
        ("layer0.b_h", "there is no training without the whole gradient of layer0.b_h"),
    ],
)
def test_there_is_no_training_without_what_it_takes(problem_of, missing, reason):
    @implementation("partial")
    def partial(problem):
        return {name: each for name, each in solve(problem).items() if name != missing}

    assert run(partial, problem_of({})).untrained == reason
    without = run(partial, problem_of({"frozen": ["layer0.b_h"]}))
    assert bool(without.training) == (missing == "layer0.b_h")


def test_an_oracle_trains_as_far_as_it_can_afford(problem_of):
    small, long = problem_of({}), problem_of({"steps": 100_000})
    assert not run(implementations()["complex-step"], small).untrained
    assert "multiplications" in run(implementations()["complex-step"], long).untrained


def test_a_case_without_training_has_none(problem_of):
    problem = problem_of({})
    problem = replace(problem, case=replace(problem.case, training="none"))
    found = run(implementations()["numpy-split"], problem)
    assert not found.training
    assert not found.per_step
    assert not found.untrained
