"""Torch functions as they come: an autograd.Function, a module, time first, not contiguous, bfloat16 and float8."""

import pytest

torch = pytest.importorskip("torch")

import harness  # noqa: E402
from harness.torch import Conventions, check, configurations  # noqa: E402

pytestmark = [pytest.mark.framework, pytest.mark.slow]


class Elman(torch.autograd.Function):
    """An Elman network over (B, T, I) with a backward pass by hand, in which one thing may be wrong."""

    fault = ""

    @staticmethod
    def forward(ctx, x, W, U, b, h):
        states = [h]
        for t in range(x.shape[1]):
            states.append(torch.tanh(x[:, t] @ W + states[-1] @ U + b))
        ctx.save_for_backward(x, W, U, *states)
        return torch.stack(states[1:], 1), states[-1]

    @staticmethod
    def backward(ctx, g_outputs, g):
        x, W, U, *states = ctx.saved_tensors
        dW, dU, db, dx = torch.zeros_like(W), torch.zeros_like(U), torch.zeros_like(W[0]), []
        if Elman.fault == "last state":
            g = torch.zeros_like(g)
        for t in reversed(range(x.shape[1])):
            a = (g + g_outputs[:, t]) * (1 - states[t + 1] ** 2)
            dW, dU, db = dW + x[:, t].T @ a, dU + states[t].T @ a, db + a.sum(0)
            dx.append(a @ W.T)
            g = a @ (U if Elman.fault == "untransposed" else U.T)
        if Elman.fault == "one per cent":
            dU = 1.01 * dU
        if Elman.fault == "raw memory":  # the numbers from the first address on, whatever the strides are
            raw = torch.empty(0, dtype=g_outputs.dtype).set_(g_outputs.untyped_storage())
            db = db + 0 * db + (raw[: g_outputs.numel()].reshape(g_outputs.shape) - g_outputs).sum((0, 1))
        return torch.stack(dx[::-1], 1), dW, dU, db, g


def elman(weights, inputs, state):
    outputs, h = Elman.apply(inputs["x"], weights["W_xh"], weights["W_hh"], weights["b_h"], state["h"])
    return outputs, {"h": h}


@pytest.fixture
def broken(monkeypatch):
    return lambda fault: monkeypatch.setattr(Elman, "fault", fault)


@pytest.mark.parametrize("configuration", configurations("rnn"), ids=str)
def test_a_configuration_at_a_time(configuration):
    assert check(elman, recurrence="rnn", on=configuration) is None


@pytest.mark.parametrize("fault", ["last state", "untransposed", "one per cent"])
def test_a_wrong_backward_pass_fails_in_wide_numbers(broken, fault):
    broken(fault)
    with pytest.raises(AssertionError, match="elman against derived"):
        check(elman, recurrence="rnn")


@pytest.mark.parametrize("fault", ["last state", "untransposed", "one per cent"])
def test_a_wrong_backward_pass_fails_in_bfloat16_alone(broken, fault):
    broken(fault)
    with pytest.raises(AssertionError, match="rnn with bfloat16, 24 problems: WRONG"):
        check(elman, recurrence="rnn", rounds="bfloat16", conventions=Conventions(dtypes=()))


@pytest.mark.parametrize("strided", [False, True])
def test_a_right_one_passes_in_bfloat16(strided):
    report = check(
        elman, recurrence="rnn", rounds="bfloat16", conventions=Conventions(strided=strided, dtypes=("float32",))
    )
    assert report.matches


def test_strides_show_a_function_that_reads_raw_memory(broken):
    broken("raw memory")
    check(elman, recurrence="rnn", conventions=Conventions(dtypes=("float64",)))
    with pytest.raises(AssertionError):
        check(elman, recurrence="rnn", conventions=Conventions(dtypes=("float64",), strided=True))


def test_a_function_may_have_time_first_and_return_tensors_in_order():
    def time_first(weights, inputs, state):
        assert inputs["x"].shape[0] != state["h"].shape[0]
        outputs, last = elman(weights, {"x": inputs["x"].transpose(0, 1)}, state)
        return outputs.transpose(0, 1), (last["h"],)

    check(time_first, recurrence="rnn", conventions=Conventions(time_first=True, dtypes=("float64",)))


def test_a_module_is_called_with_the_weights_of_the_problem():
    def module(weights, inputs, state):
        I, H = weights["W_xh"].shape[0], weights["W_hh"].shape[0]
        lstm = torch.nn.LSTM(I, H, batch_first=True, device="meta")
        given = {
            "weight_ih_l0": weights["W_xh"].T,
            "weight_hh_l0": weights["W_hh"].T,
            "bias_ih_l0": weights["b_h"],
            "bias_hh_l0": torch.zeros_like(weights["b_h"]),
        }
        initial = (state["h"][None], state["c"][None])
        outputs, (h, c) = torch.func.functional_call(lstm, given, (inputs["x"], initial))
        return outputs, {"h": h[0], "c": c[0]}

    assert check(module, recurrence="lstm", rounds="bfloat16").matches


def test_a_function_that_always_rounds_says_so():
    def rounding(weights, inputs, state):
        def coarse(tensors):
            return {name: each.to(torch.bfloat16) for name, each in tensors.items()}

        outputs, last = elman(coarse(weights), coarse(inputs), coarse(state))
        return outputs.to(inputs["x"].dtype), {"h": last["h"].to(inputs["x"].dtype)}

    with pytest.raises(AssertionError, match="rounds_always=True"):
        check(rounding, recurrence="rnn", rounds="bfloat16")
    assert check(rounding, recurrence="rnn", rounds="bfloat16", conventions=Conventions(rounds_always=True)).matches


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (lambda *_: None, "the function returned a NoneType; return the outputs"),
        (lambda outputs, h: (outputs, {"hidden": h}), "the function returned a last state 'hidden'"),
        (lambda outputs, h: (outputs, h, h), "the function returned 2 last states, but should return 1"),
        (lambda outputs, _: (outputs, {"h": 1.0}), "the last state 'h' is a float, but should be a tensor"),
        (lambda outputs, _: outputs, "the function returned no last state 'h', and the loss depends on it; return"),
        (lambda outputs, h: (outputs.transpose(0, 1), h), r"time_first=True\) for \(T, B, …\)"),
        (lambda outputs, h: (outputs.detach().numpy(), h), "the outputs are a ndarray, but should be a tensor"),
        (lambda outputs, h: (outputs[:, -1], h), r"outputs of shape \(3, 5\), but should return \(3, 7, 5\)$"),
        (lambda outputs, h: (outputs, h.T), r"last.h of shape \(5, 3\), but should return \(3, 5\)$"),
    ],
)
def test_a_wrong_return_is_said(returned, text):
    def odd(weights, inputs, state):
        outputs, last = elman(weights, inputs, state)
        return returned(outputs, last["h"])

    with pytest.raises((AssertionError, TypeError, ValueError), match=text):
        check(odd, recurrence="rnn")


def test_outputs_alone_are_checked_where_the_loss_depends_on_them_alone(broken):
    def outputs_alone(weights, inputs, state):
        return elman(weights, inputs, state)[0]

    (on,) = (each for each in configurations("rnn") if "outputs alone" in str(each))
    check(outputs_alone, recurrence="rnn", on=on)
    broken("untransposed")
    with pytest.raises(AssertionError, match="untransposed"):
        check(outputs_alone, recurrence="rnn", on=on)


NOTHING_CHECKED = {
    "an unknown dtype": (
        lambda: Conventions(dtypes=("float46",)),
        "dtypes has 'float46', but should have float64 or float32;",
    ),
    "a low dtype": (lambda: configurations("rnn", ["bfloat16"]), "`rounds` takes formats of low precision"),
    "a text": (lambda: Conventions(dtypes="float64"), r"should be a tuple: \('float64',\)"),
    "no dtype": (lambda: check(elman, recurrence="rnn", conventions=Conventions(dtypes=())), "nothing is checked"),
    "an id": (lambda: check(elman, recurrence="rnn", on="seed=0"), "on is a str, but should be a harness.torch.Conf"),
    "options": (
        lambda: check(elman, recurrence="rnn", conventions={}),
        "conventions is a dict, but should be a harness",
    ),
}


@pytest.mark.parametrize("mistake", NOTHING_CHECKED)
def test_no_mistake_in_an_argument_passes_without_a_comparison(mistake):
    call, text = NOTHING_CHECKED[mistake]
    with pytest.raises((TypeError, ValueError), match=text):
        call()


def test_a_dtype_of_torch_is_no_name_of_a_format():
    with pytest.raises(ValueError, match=r"rounds is torch\.bfloat16, but .* a format's name, .*'bfloat16'"):
        check(elman, recurrence="rnn", rounds=torch.bfloat16)


def test_an_unknown_recurrence_has_its_nearest_name():
    with pytest.raises(ValueError, match="there is no recurrence 'lstmm'; did you mean 'lstm'"):
        harness.torch.check(elman, recurrence="lstmm")
