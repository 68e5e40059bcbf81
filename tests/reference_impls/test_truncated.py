"""Truncated gradients against what they are by definition: each step's loss with a graph of its own that is cut."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from reference_impls import gru_split, lstm_concatenated, lstm_split, network, rnn_split
from reference_impls.bidirectional import both_ways
from reference_impls.layer import states_of
from reference_impls.lengths import of_lengths
from reference_impls.truncation import Detach, Window, passes

T = 5
SIZES = {"B": 2, "T": T, "I": 3, "H": 2, "O": 2}
TRUNCATIONS = [*(Detach(k) for k in (1, 2, 3, 4, 5, 8)), *(Window(k) for k in (0, 1, 2, 3, 4, 9))]


def number_of(truncation):
    return truncation.every if isinstance(truncation, Detach) else truncation.steps


def shortens(truncation):
    return number_of(truncation) < T - isinstance(truncation, Window)


SHORTENED = [each for each in TRUNCATIONS if shortens(each)]


def named(truncation):
    return f"{type(truncation).__name__.lower()}={number_of(truncation)}"


def start_of(truncation, t):
    """The step at which the graph of step t's loss starts."""
    if isinstance(truncation, Detach):
        return t // truncation.every * truncation.every
    return max(0, t - truncation.steps)


def by_definition(problem, truncation, layer=rnn_split):
    """The sum over steps of the loss's derivative by complex perturbation of a forward pass that starts late."""
    passed = network.forward(*problem.arguments(layer))
    before = {}  # every state before every step, (T + 1, B, H) each
    for n, cache in enumerate(passed.caches):
        before[f"layer{n}.h0"] = cache.states
        if "c0" in states_of(layer):
            before[f"layer{n}.c0"] = cache.cells
    total = {name: np.zeros_like(array) for name, array in problem.given.items()}
    for t in range(problem.inputs.shape[1]):
        first = start_of(truncation, t)
        chunk = slice(first, t + 1)
        covered = problem.covered[:, chunk].copy()
        covered[:, :-1] = False
        late = replace(
            problem,
            inputs=problem.inputs[:, chunk],
            initial_state={name: each[first] for name, each in before.items()},
            targets=problem.targets[:, chunk],
            covered=covered,
        )
        for name, gradient in late.complex_step(layer).items():
            if name == "inputs":
                total[name][:, chunk] += gradient
            elif name not in before or first == 0:
                total[name] += gradient
    return total


@pytest.mark.spread(2)
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=named)
def test_it_is_the_sum_of_the_gradients_of_cut_graphs(sized_net, assert_close, derivation, layers, readout, truncation):
    problem = sized_net(
        SIZES, activation="tanh", loss="squared_error", layers=layers, readout=readout, steps=[0, 1, 3, 4]
    )
    value, outputs, gradients = problem.solve(derivation, truncation)
    assert_close(gradients, by_definition(problem, truncation), 1e-13)
    in_full = problem.solve(derivation)
    assert value == in_full[0]
    np.testing.assert_array_equal(outputs, in_full[1])


@pytest.mark.spread(2)
@pytest.mark.parametrize("truncation", [Detach(2), Window(2)], ids=named)
def test_with_every_activation_and_loss(sized_net, assert_close, derivation, activation, loss, truncation):
    problem = sized_net(SIZES, activation=activation, loss=loss, layers=2, readout=True)
    assert_close(problem.solve(derivation, truncation)[2], by_definition(problem, truncation), 1e-13)


@pytest.mark.parametrize("truncation", [each for each in TRUNCATIONS if not shortens(each)], ids=named)
def test_as_long_as_the_sequence_it_is_the_full_gradient(sized_net, assert_close, derivation, truncation):
    problem = sized_net(SIZES, activation="tanh", loss="dot", layers=2, readout=True)
    assert_close(problem.solve(derivation, truncation)[2], problem.solve(derivation)[2], 1e-14)


@pytest.mark.parametrize("truncation", SHORTENED, ids=named)
def test_one_off_is_another_gradient(sized_net, derivation, truncation):
    """The comparisons above could not fail if lengths did not matter."""
    problem = sized_net(SIZES, activation="tanh", loss="dot", layers=2, readout=True)
    right = problem.solve(derivation, truncation)[2]
    longer = problem.solve(derivation, type(truncation)(number_of(truncation) + 1))[2]
    other = problem.solve(
        derivation, (Window if isinstance(truncation, Detach) else Detach)(number_of(truncation) + 1)
    )[2]
    for wrong in (longer, other, problem.solve(derivation)[2]):
        for name in ("layer0.W_xh", "layer1.W_hh", "inputs"):
            alike = np.allclose(wrong[name], right[name], rtol=1e-3)
            assert alike == (wrong is other and truncation == Window(0)), name


@pytest.mark.parametrize("truncation", [Detach(1), Window(0), Detach(3), Window(3)], ids=named)
@pytest.mark.parametrize("steps", [1, 2], ids="T={}".format)
def test_a_sequence_of_a_step_or_two(sized_net, assert_close, derivation, truncation, steps):
    problem = sized_net(SIZES | {"T": steps}, activation="tanh", loss="dot", layers=2, readout=True)
    assert_close(problem.solve(derivation, truncation)[2], by_definition(problem, truncation), 1e-13)


def test_what_no_loss_reaches_is_zero(sized_net, derivation):
    """With a loss at the last step alone, a chunk or window that ends there hides the rest of the sequence."""
    problem = sized_net(SIZES, activation="tanh", loss="squared_error", layers=2, steps=[-1])
    for truncation, first in ((Detach(3), 3), (Window(2), 2)):
        gradients = problem.solve(derivation, truncation)[2]
        assert not gradients["inputs"][:, :first].any()
        assert gradients["inputs"][:, first:].all()
        assert not gradients["layer0.h0"].any()


@pytest.mark.slow
@pytest.mark.spread(2)
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=named)
def test_gated_it_is_the_sum_of_the_gradients_of_cut_graphs(sized_net, assert_close, cell, gated, truncation):
    problem = sized_net(SIZES, loss="squared_error", layers=2, readout=True, steps=[0, 1, 3, 4], cell=cell)
    value, outputs, gradients = problem.solve(gated, truncation)
    assert_close(gradients, by_definition(problem, truncation, gated), 1e-13)
    in_full = problem.solve(gated)
    assert value == in_full[0]
    np.testing.assert_array_equal(outputs, in_full[1])
    for name in ("layer0.W_hh", "layer1.b_h", "inputs"):
        assert np.allclose(gradients[name], in_full[2][name], rtol=1e-3) != shortens(truncation), name


@pytest.mark.parametrize("truncation", [Window(k) for k in (0, 1, 2, 3, 4, 9)], ids=named)
def test_a_window_in_passes_is_a_window_by_lags(sized_net, assert_close, derivation, truncation):
    problem = sized_net(SIZES, loss="dot", layers=2, readout=True)
    without_lags = SimpleNamespace(WEIGHTS=derivation.WEIGHTS, forward=derivation.forward, backward=derivation.backward)
    assert_close(problem.solve(without_lags, truncation)[2], problem.solve(derivation, truncation)[2], 1e-13)


@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=named)
def test_each_sequence_is_cut_as_it_would_be_alone(sized_net, assert_close, truncation):
    lengths = np.array([3, 5])
    problem = sized_net(SIZES, loss="dot", layers=2, cell="lstm", lengths=lengths)
    gradients = problem.solve(of_lengths(lstm_split, lengths), truncation)[2]
    total = {name: np.zeros_like(array) for name, array in problem.given.items()}
    for b, L in enumerate(lengths):
        alone = replace(
            problem,
            inputs=problem.inputs[[b], :L],
            initial_state={name: state[[b]] for name, state in problem.initial_state.items()},
            targets=problem.targets[[b], :L],
            covered=problem.covered[[b], :L],
        )
        for name, gradient in alone.solve(lstm_split, truncation)[2].items():
            if name == "inputs":
                total[name][[b], :L] = gradient
            elif name in problem.initial_state:
                total[name][[b]] = gradient
            else:
                total[name] += gradient
    assert_close(gradients, total, 1e-13)


@pytest.mark.parametrize("truncation", [Detach(2), Window(2)], ids=named)
def test_both_directions_cannot_be_truncated(sized_net, cell, gated, truncation):
    problem = sized_net(SIZES, loss="dot", cell=cell, directions=2)
    for layer in (both_ways(gated), of_lengths(both_ways(gated), np.array([5, 5]))):
        with pytest.raises(ValueError, match="a bidirectional layer has no truncated gradient"):
            problem.solve(layer, truncation)


@pytest.mark.parametrize(
    ("module", "cell", "right", "wrong"),
    [
        (lstm_split, "lstm", "d_state[:] = d_cell[:] = 0", "d_state[:] = 0"),
        (lstm_split, "lstm", "d_state[:] = d_cell[:] = 0", "d_cell[:] = 0"),
        (lstm_split, "lstm", "if t in starts:", "if t + 1 in starts:"),
        (lstm_concatenated, "lstm", "if t + 1 in starts:", "if t in starts:"),
        (gru_split, "gru, reset after", "if t in starts:", "if t in starts and False:"),
        (gru_split, "gru, reset before", "if t in starts:", "if t + 1 in starts:"),
    ],
)
@pytest.mark.parametrize("truncation", [Detach(2), Window(2)], ids=named)
def test_a_cut_in_the_wrong_place_is_seen(sized_net, changed, assert_close, module, cell, right, wrong, truncation):
    def layer(of):
        return of.RESETS[cell.rpartition(" ")[2]] if hasattr(of, "RESETS") else of

    problem = sized_net(SIZES, loss="dot", cell=cell)
    expected = by_definition(problem, truncation, layer(module))
    assert_close(problem.solve(layer(module), truncation)[2], expected, 1e-13)
    with pytest.raises(AssertionError, match="instead of"):
        assert_close(problem.solve(layer(changed(module, right, wrong)), truncation)[2], expected, 1e-6)


def test_the_two_kinds_are_never_the_same():
    """As tuples of one number they were equal, and one key of a dictionary."""
    assert Detach(3) != Window(3)
    assert Detach(3) == Detach(3)
    assert len({Detach(3), Window(3), Detach(3)}) == 2


@pytest.mark.spread(2)
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=str)
@pytest.mark.parametrize("T", [1, 2, 5, 7])
def test_the_loss_of_each_step_counts_once_and_reaches_as_far_as_it_should(truncation, T):
    reached = {}
    for chunks, counted in passes(truncation, T):
        assert [step for chunk in chunks for step in range(*chunk)] == list(range(T))
        for first, last in chunks:
            for t in range(first, last):
                if counted[t]:
                    assert t not in reached
                    reached[t] = first
    k = truncation.every if isinstance(truncation, Detach) else truncation.steps
    expected = {t: t // k * k if isinstance(truncation, Detach) else max(0, t - k) for t in range(T)}
    assert reached == expected
