"""A Triton kernel goes through the whole check, on a GPU or in Triton's interpreter."""

import os

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton", reason="Triton is not installed; pip install triton, and set TRITON_INTERPRET=1")

from harness.torch import Conventions, check  # noqa: E402

on_gpu = torch.cuda.is_available()
device = "cuda" if on_gpu else "cpu"
pytestmark = [
    pytest.mark.framework,
    pytest.mark.slow,
    pytest.mark.skipif(
        not on_gpu and os.environ.get("TRITON_INTERPRET") != "1",
        reason="Triton needs a GPU, or TRITON_INTERPRET=1 in the environment",
    ),
]
IN_FLOAT32 = Conventions(dtypes=("float32",))


BFLOAT16 = "bfloat16" if on_gpu else "bfloat16-truncated"
"""Triton's interpreter cuts the digits of bfloat16 off, where a GPU rounds to nearest."""


@pytest.mark.parametrize("rounds", [None, BFLOAT16, "float16"], ids=str)
def test_the_kernel_is_right(rounds):
    from tests.low_precision.triton_min_gru import min_gru

    check(min_gru, recurrence="min_gru", rounds=rounds, device=device, conventions=IN_FLOAT32)


def test_one_per_cent_too_much_is_seen():
    from tests.low_precision.triton_min_gru import MinGRUScan, min_gru

    class Wrong(MinGRUScan):
        @staticmethod
        def backward(ctx, g):
            da, dv, dh0 = MinGRUScan.backward(ctx, g)
            return da, dv, 1.01 * dh0

    def wrong(weights, inputs, state):
        return min_gru(weights, inputs, state, Wrong.apply)

    with pytest.raises(AssertionError, match=r"(?s)h0 .*it is 1.01\d* times the right gradient on average"):
        check(wrong, recurrence="min_gru", rounds="float16", device=device, conventions=Conventions(dtypes=()))
