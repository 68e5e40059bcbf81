"""Candidates of other kinds: tensors of eight bits, products in tf32, compiled, packed, and with hooks."""

import shutil

import pytest

torch = pytest.importorskip("torch")

from harness.torch import Conventions, check, check_at_full_size  # noqa: E402

pytestmark = [pytest.mark.framework, pytest.mark.slow]
COARSE = Conventions(dtypes=(), sizes={"B": 8, "T": 8})
IN_FLOAT32 = Conventions(dtypes=("float32",))


def elman(weights, inputs, state, product=torch.matmul):
    W, U, b = weights["W_xh"], weights["W_hh"], weights["b_h"]
    h, outputs = state["h"], []
    for t in range(inputs["x"].shape[1]):
        h = torch.tanh(product(inputs["x"][:, t], W) + product(h, U) + b)
        outputs.append(h)
    return torch.stack(outputs, 1), {"h": h}


def in_eight_bits(weights, inputs, state):
    """Store in the dtype that comes, and compute in float32."""
    dtype = inputs["x"].dtype
    assert dtype.itemsize == 1

    def wide(tensors):
        return {name: each.float() for name, each in tensors.items()}

    outputs, last = elman(wide(weights), wide(inputs), wide(state))
    return outputs.to(dtype), {"h": last["h"].to(dtype)}


@pytest.mark.parametrize("format", ["float8_e4m3fn", "float8_e5m2"])
def test_tensors_of_eight_bits(format):
    report = check(in_eight_bits, recurrence="rnn", rounds={"stored": format}, conventions=COARSE)
    assert report.matches

    def wrong(weights, inputs, state):
        return in_eight_bits(weights | {"b_h": torch.zeros_like(weights["b_h"].float())}, inputs, state)

    with pytest.raises(AssertionError, match="WRONG"):
        check(wrong, recurrence="rnn", rounds={"stored": format}, conventions=COARSE)


class ProductInTf32(torch.autograd.Function):
    """A product whose factors are rounded to tf32, forward and backward, as tensor cores round them."""

    factor = 1.0

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return tf32(a) @ tf32(b)

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return tf32(g) @ tf32(b).mT, ProductInTf32.factor * (tf32(a).mT @ tf32(g))


def tf32(a):
    bits = a.contiguous().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


def by_tf32(weights, inputs, state):
    return elman(weights, inputs, state, ProductInTf32.apply)


def test_products_in_tf32(monkeypatch):
    assert check(by_tf32, recurrence="rnn", rounds="tf32", conventions=COARSE).matches
    monkeypatch.setattr(ProductInTf32, "factor", 1.001)
    with pytest.raises(AssertionError, match=r"it is 1\.00\d+ times the right gradient on average"):
        check(by_tf32, recurrence="rnn", rounds="tf32", conventions=COARSE)


@pytest.mark.full  # half a minute, most of it torch's compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # by the compiler itself
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a compiler of C++, such as g++")
def test_a_compiled_function():
    compiled = torch.compile(elman, dynamic=False)
    sizes = Conventions(dtypes=(), sizes={"B": 8, "T": 4})
    assert check(compiled, recurrence="rnn", rounds="bfloat16", conventions=sizes).matches


def test_packed_sequences():
    def packed(weights, inputs, state):
        x, h = inputs["x"], state["h"]
        lengths = torch.full((x.shape[0],), x.shape[1])
        rnn = torch.nn.RNN(x.shape[2], h.shape[1], batch_first=True, device="meta")
        given = {
            "weight_ih_l0": weights["W_xh"].T,
            "weight_hh_l0": weights["W_hh"].T,
            "bias_ih_l0": weights["b_h"],
            "bias_hh_l0": torch.zeros_like(weights["b_h"]),
        }
        together = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        outputs, last = torch.func.functional_call(rnn, given, (together, h[None]))
        return torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0], {"h": last[0]}

    check(packed, recurrence="rnn", conventions=IN_FLOAT32)
    assert check(packed, recurrence="rnn", rounds="bfloat16", conventions=COARSE).matches


@pytest.mark.parametrize("factor", [1, 2], ids=["right", "wrong"])
def test_a_hook_at_the_last_state(factor):
    def hooked(weights, inputs, state):
        outputs, last = elman(weights, inputs, state)
        h = last["h"] + 0
        h.register_hook(lambda g: factor * g)
        return outputs, {"h": h}

    if factor == 1:
        check(hooked, recurrence="rnn", conventions=IN_FLOAT32)
    else:
        with pytest.raises(AssertionError, match="hooked against derived"):
            check(hooked, recurrence="rnn", conventions=IN_FLOAT32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False")
@pytest.mark.parametrize("rounds", [None, "bfloat16", "float16"], ids=str)
def test_on_a_gpu(rounds):
    check(elman, recurrence="rnn", rounds=rounds, device="cuda", conventions=IN_FLOAT32)


@pytest.mark.parametrize("factor", [1, 2], ids=["right", "wrong"])
def test_a_long_sequence(factor):
    def long(weights, inputs, state):
        outputs, last = elman(weights, inputs, state)
        h = last["h"] + 0
        h.register_hook(lambda g: factor * g)
        return outputs, {"h": h}

    sizes = {"B": 1, "T": 530, "I": 3, "H": 4}
    if factor == 1:
        report = check_at_full_size(long, recurrence="rnn", sizes=sizes, rounds="bfloat16")
        assert report.matches
        assert "rnn with bfloat16, B=1, T=530, I=3, H=4" in str(report)
    else:
        with pytest.raises(AssertionError, match="times that of rounding"):
            check_at_full_size(long, recurrence="rnn", sizes=sizes, rounds="bfloat16")
