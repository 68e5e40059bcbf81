"""Sequences of unequal length, and both directions of time, around every cell."""

from types import SimpleNamespace

import numpy as np
import pytest

from reference_impls import bidirectional, gru_split, lengths, lstm_concatenated, lstm_split, network, rnn_split
from reference_impls.bidirectional import both_ways
from reference_impls.lengths import of_lengths

LENGTHS = np.array([2, 4, 1, 2])
SIZES = {"B": 4, "T": 4, "H": 2}
LAYERS = {
    "rnn": rnn_split,
    "lstm": lstm_split,
    "gru, reset after": gru_split.RESETS["after"],
    "gru, reset before": gru_split.RESETS["before"],
}


@pytest.fixture(params=LAYERS)
def any_cell(request):
    return request.param


@pytest.fixture(params=[None, LENGTHS], ids=["equal", "unequal"])
def ends(request):
    return request.param


@pytest.fixture
def padded(sized_net):
    """A network whose loss covers every step up to each sequence's end."""
    return lambda cell, **options: sized_net(SIZES, cell=cell, lengths=LENGTHS, loss="dot", **options)


def wrapped(layer, directions, ends):
    if directions == 2:
        layer = both_ways(layer)
    return layer if ends is None else of_lengths(layer, ends)


@pytest.mark.slow
@pytest.mark.spread(2)
@pytest.mark.parametrize("directions", [1, 2])
def test_every_gradient_is_the_derivative_of_the_forward_pass(
    sized_net, assert_close, any_cell, layers, directions, ends, readout
):
    layer = wrapped(LAYERS[any_cell], directions, ends)
    options = {"layers": layers, "directions": directions, "readout": readout, "lengths": ends}
    problem = sized_net(SIZES, cell=any_cell, **options)
    expected = problem.complex_step(layer)
    assert_close(problem.solve(layer)[2], expected, 1e-13)
    assert all(tensor.any() for tensor in expected.values())


@pytest.mark.parametrize(
    "sizes", [{"T": 1}, {"B": 1}, {"H": 1}, {"B": 1, "T": 1, "I": 1, "H": 1}], ids=lambda sizes: ",".join(sizes)
)
def test_the_smallest_sizes(sized_net, assert_close, any_cell, sizes):
    sizes = {**SIZES, **sizes}
    ends = np.minimum(LENGTHS, sizes["T"])[: sizes["B"]]
    layer = wrapped(LAYERS[any_cell], 2, ends)
    problem = sized_net(sizes, cell=any_cell, layers=2, directions=2, lengths=ends)
    assert_close(problem.solve(layer)[2], problem.complex_step(layer), 1e-13)


@pytest.mark.parametrize("directions", [1, 2])
def test_each_sequence_is_as_it_would_be_alone(padded, assert_close, any_cell, directions):
    problem = padded(any_cell, layers=2, directions=directions)
    layer = wrapped(LAYERS[any_cell], directions, LENGTHS)
    _, outputs, gradients = problem.solve(layer)
    total = {name: np.zeros_like(array) for name, array in problem.given.items()}
    for b, L in enumerate(LENGTHS):
        arguments = list(problem.arguments(layer))
        arguments[0] = wrapped(LAYERS[any_cell], directions, None)
        arguments[2] = problem.inputs[[b], :L]
        arguments[3] = {name: state[[b]] for name, state in problem.initial_state.items()}
        upstream = problem.targets[[b], :L]
        alone = network.forward(*arguments)
        of_alone = network.backward(*arguments[:2], alone, upstream)
        np.testing.assert_allclose(outputs[[b], :L], alone.outputs, rtol=1e-13, atol=1e-15)
        assert not outputs[b, L:].any()
        for name, gradient in of_alone.items():
            if name == "inputs":
                total[name][b, :L] = gradient[0]
            elif name in problem.initial_state:
                total[name][b] = gradient[0]
            else:
                total[name] += gradient
    assert_close(gradients, total, 1e-14)


@pytest.mark.parametrize("directions", [1, 2])
def test_nothing_past_an_end_has_a_say(padded, any_cell, directions, readout):
    problem = padded(any_cell, layers=2, directions=directions, readout=readout)
    layer = wrapped(LAYERS[any_cell], directions, LENGTHS)
    _, outputs, gradients = problem.solve(layer)
    past = np.arange(4) >= LENGTHS[:, None]
    assert not outputs[past].any()
    assert not gradients["inputs"][past].any()
    problem.inputs[past] = np.nan
    _, others, of_others = problem.solve(layer)
    np.testing.assert_array_equal(others, outputs)
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(of_others[name], gradient)

    arguments = problem.arguments(layer)
    passed = network.forward(*arguments)
    d_outputs = np.where(past[:, :, None], np.nan, problem.targets)
    for name, gradient in network.backward(layer, arguments[1], passed, d_outputs).items():
        np.testing.assert_array_equal(gradient, gradients[name])


def test_the_state_is_kept_from_each_end_on(padded, any_cell):
    problem = padded(any_cell, directions=2)
    passed = network.forward(*problem.arguments(wrapped(LAYERS[any_cell], 2, LENGTHS)))
    cache, (last, *more) = passed.caches[0], passed.caches[0].last
    H, back = 2, more[len(more) // 2]
    np.testing.assert_array_equal(last, passed.outputs[np.arange(4), LENGTHS - 1, :H])
    np.testing.assert_array_equal(back, passed.outputs[:, 0, H:])  # the reversed direction ends at the first step
    if any_cell == "lstm":
        assert len(cache.last) == 4
        whole = lstm_split.forward(
            problem.inputs.swapaxes(0, 1),
            *(problem.initial_state[f"layer0.{name}"] for name in lstm_split.STATES),
            {name: problem.weights[f"layer0.{name}"] for name in lstm_split.WEIGHTS},
        )
        np.testing.assert_allclose(more[0], whole.cells[LENGTHS, np.arange(4)], rtol=1e-13)


@pytest.mark.parametrize("directions", [1, 2])
def test_a_layer_that_does_not_name_its_states_is_wrapped_all_the_same(padded, directions):
    problem = padded("rnn", layers=2, directions=directions)
    silent = SimpleNamespace(WEIGHTS=rnn_split.WEIGHTS, forward=rnn_split.forward, backward=rnn_split.backward)
    expected = problem.solve(wrapped(rnn_split, directions, LENGTHS))[2]
    gradients = problem.solve(wrapped(silent, directions, LENGTHS))[2]
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        np.testing.assert_array_equal(gradients[name], gradient)


def test_lengths_that_are_all_t_are_no_lengths(sized_net, any_cell):
    problem = sized_net(SIZES, cell=any_cell, directions=2, layers=2)
    _, outputs, gradients = problem.solve(both_ways(LAYERS[any_cell]))
    _, others, of_others = problem.solve(wrapped(LAYERS[any_cell], 2, np.full(4, 4)))
    np.testing.assert_array_equal(others, outputs)
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(of_others[name], gradient)


def test_time_reversed_the_two_directions_change_places(sized_net, any_cell):
    """And where they have, outputs and gradients are the same to the bit, in reversed order."""
    problem = sized_net(SIZES, cell=any_cell, directions=2, loss="dot")
    layer = both_ways(LAYERS[any_cell])
    _, outputs, gradients = problem.solve(layer)

    def other(name):
        return name.replace("reverse.", "") if "reverse." in name else name.replace("layer0.", "layer0.reverse.")

    turned = problem.with_given({name: problem.given[other(name)] for name in problem.given})
    turned.inputs[...] = turned.inputs[:, ::-1].copy()
    turned.targets[...] = np.roll(turned.targets[:, ::-1], 2, axis=-1)
    _, others, of_others = turned.solve(layer)
    np.testing.assert_array_equal(others, np.roll(outputs[:, ::-1], 2, axis=-1))
    np.testing.assert_array_equal(of_others.pop("inputs")[:, ::-1], gradients.pop("inputs"))
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(of_others[other(name)], gradient)


@pytest.mark.parametrize(
    "wrong", [[2, 4, 1], [0, 4, 1, 2], [2, 5, 1, 2], [2.0, 4.0, 1.0, 2.0], [[2, 4, 1, 2]]], ids=str
)
def test_lengths_that_do_not_fit_are_refused(padded, wrong):
    with pytest.raises(ValueError, match="4 integers from 1 to 4"):
        padded("rnn").solve(of_lengths(rnn_split, np.array(wrong)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble], ids=lambda d: np.dtype(d).name)
def test_dtypes_stay_and_nothing_given_is_written_to(padded, read_only, any_cell, dtype):
    problem = read_only(padded(any_cell, layers=2, directions=2, readout=True).astype(dtype))
    value, outputs, gradients = problem.solve(wrapped(LAYERS[any_cell], 2, LENGTHS))
    for name, tensor in {"loss": value, "outputs": outputs, **gradients}.items():
        assert tensor.dtype == dtype, name
        assert np.isfinite(tensor).all(), name


def test_the_two_derivations_agree(padded, assert_close):
    problem = padded("lstm", layers=2, directions=2)
    first, second = (problem.solve(wrapped(layer, 2, LENGTHS))[2] for layer in (lstm_split, lstm_concatenated))
    assert_close(second, first, 1e-14)


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        (bidirectional, "d_back[::-1])", "d_back)"),
        (bidirectional, "d_x + d_x_back[::-1]", "d_x + d_x_back"),
        (bidirectional, "d_x + d_x_back[::-1]", "d_x"),
        (bidirectional, "d_forth, d_back = np.split", "d_back, d_forth = np.split"),
        (bidirectional, "*d_states, *d_states_back, gradients", "*d_states_back, *d_states, gradients"),
        (lengths, "gradients[name] + gradient if name in gradients else gradient", "gradient"),
        (lengths, "d_state[which] = part", "d_state[: len(part)] = part"),
    ],
)
def test_a_mistake_in_the_backward_pass_is_seen(padded, changed, assert_close, module, right, wrong):
    problem = padded("lstm", directions=2 if module is bidirectional else 1)
    expected = problem.complex_step(wrapped(lstm_split, 2 if module is bidirectional else 1, LENGTHS))
    other = changed(module, right, wrong)
    if module is bidirectional:
        mistaken = of_lengths(other.both_ways(lstm_split), LENGTHS)
    else:
        mistaken = other.of_lengths(lstm_split, LENGTHS)
    assert_close(problem.complex_step(mistaken), expected, 1e-15)
    with pytest.raises(AssertionError, match="instead of"):
        assert_close(problem.solve(mistaken)[2], expected, 1e-6)


@pytest.mark.framework
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru, reset after"])
def test_packed_and_bidirectional_as_torch(padded, assert_close, layers, cell):
    torch = pytest.importorskip("torch")
    problem = padded(cell, layers=layers, directions=2)
    modules = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru, reset after": torch.nn.GRU}
    module = modules[cell](4, 2, layers, batch_first=True, bidirectional=True, dtype=torch.float64)
    ends = {place: f"_l{place[5]}" + "_reverse" * ("reverse" in place) for place in problem.places}
    with torch.no_grad():
        for place, end in ends.items():
            W_xh, W_hh, b_h = (problem.weights[f"{place}{name}"] for name in ("W_xh", "W_hh", "b_h"))
            b_hh = np.zeros_like(b_h)
            if cell.startswith("gru"):
                b_hh[4:] = problem.weights[f"{place}b_hn"]
            for kind, array in {"weight_ih": W_xh.T, "weight_hh": W_hh.T, "bias_ih": b_h, "bias_hh": b_hh}.items():
                getattr(module, kind + end).copy_(torch.tensor(array.copy()))
    x = torch.tensor(problem.inputs, requires_grad=True)
    names = ("h0", "c0") if cell == "lstm" else ("h0",)
    states = [
        torch.tensor(np.stack([problem.initial_state[f"{place}{name}"] for place in ends]), requires_grad=True)
        for name in names
    ]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    y, last = module(packed, tuple(states) if cell == "lstm" else states[0])
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    (y * torch.tensor(problem.targets)).sum().backward()

    expected = {"outputs": y.detach().numpy(), "inputs": x.grad.numpy()}
    for k, (place, end) in enumerate(ends.items()):
        expected[f"{place}W_xh"] = getattr(module, "weight_ih" + end).grad.numpy().T
        expected[f"{place}W_hh"] = getattr(module, "weight_hh" + end).grad.numpy().T
        expected[f"{place}b_h"] = getattr(module, "bias_ih" + end).grad.numpy()
        if cell.startswith("gru"):
            expected[f"{place}b_hn"] = getattr(module, "bias_hh" + end).grad.numpy()[4:]
        for name, state in zip(names, states, strict=True):
            expected[f"{place}{name}"] = state.grad.numpy()[k]
    layer = wrapped(LAYERS[cell], 2, LENGTHS)
    _, outputs, gradients = problem.solve(layer)
    assert_close({"outputs": outputs, **gradients}, expected, 1e-13)
    caches = network.forward(*problem.arguments(layer)).caches
    h_last = last[0] if cell == "lstm" else last
    ours = [cache.last[way * len(names)] for cache in caches for way in (0, 1)]
    np.testing.assert_allclose(np.stack(ours), h_last.detach().numpy(), rtol=1e-12, atol=1e-15)
