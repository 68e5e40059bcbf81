"""A pass in segments has the numbers of the whole pass, and a direction shows a wrong one."""

import numpy as np
import pytest

from harness.derive.recording import Recording
from harness.derive.reverse import gradients
from harness.derive.segments import by_segments, derivative_along
from harness.recurrences import recurrences


@pytest.mark.parametrize("name", ["lstm", "packed_selective_scan", "attention_decoder", "rg_lru"])
@pytest.mark.parametrize("T", [1, 13])
def test_segments_have_the_numbers_of_the_whole(name, T):
    problem = recurrences()[name].problem(T=T).sequences
    whole, found = gradients(Recording(problem), problem), by_segments(problem)
    for tensor, g in whole.items():
        np.testing.assert_allclose(found[tensor], g, rtol=1e-12, atol=1e-13)
    random = np.random.default_rng(0)
    directions = {tensor: random.normal(size=g.shape) for tensor, g in whole.items()}
    along = sum((g * directions[tensor]).sum() for tensor, g in found.items() if tensor in whole)
    assert derivative_along(problem, directions) == pytest.approx(along, rel=1e-11)
    wrong = along + 0.01 * sum(np.abs(g).sum() for g in whole.values())
    assert derivative_along(problem, directions) != pytest.approx(wrong, rel=1e-4)
