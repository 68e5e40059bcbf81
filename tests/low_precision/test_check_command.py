"""``harness check`` judges an implementation that declares where it rounds by simulated rounding."""

import pytest

from harness import check_implementation, implementation
from harness.recurrences import recurrences

pytestmark = pytest.mark.slow

FILE = """
import numpy as np
import harness
from harness.derive.operations import Carry
from harness.derive.reverse import contribution
from harness.low_precision.rounding import ToNearest, with_roundings
from harness.precision.formats import Rounds


def contributed(node, k, g):
    return {factor} * g if isinstance(node.operation, Carry) else contribution(node, k, g)


@harness.implementation("mine", recurrence="rnn", rounds="bfloat16")
def mine(problem):
    sequences = problem.as_dtype(np.float64).sequences
    found = with_roundings(sequences, Rounds.of("bfloat16"), ToNearest(), contributed)
    return {{name: each.astype(np.float32) for name, each in found.items()}}
"""


@pytest.mark.parametrize(("factor", "status"), [(1, 0), (2, 1)], ids=["right", "wrong"])
def test_a_file_that_declares_where_it_rounds(factor, status, workplace, harness):
    (workplace / "mine.py").write_text(FILE.format(factor=factor))
    done = harness("check", "mine.py")
    assert done.returncode == status, done
    assert "rnn with bfloat16, 24 problems" in done.stdout
    assert "tensor    largest     RMS       t  factor seen" in done.stdout
    assert ("Likely cause: doubled" in done.stdout) == bool(status)


@pytest.mark.parametrize(
    ("returned", "text"),
    [({}, "returned an empty dictionary"), (None, "returned None"), ({"loss": 1.0}, "loss: the largest error is")],
    ids=["empty", "None", "a wrong loss alone"],
)
def test_from_python_a_wrong_answer_is_no_match(returned, text):
    mine = implementation("mine", recurrence="rnn", rounds="bfloat16")(lambda _: returned)
    found = check_implementation(mine, recurrences()["rnn"])
    assert not found.passed
    assert text in str(found)
