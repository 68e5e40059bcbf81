"""Two returned arrays that share memory: what one is of the other."""

import numpy as np
import pytest

from harness.candidate.trial.memory import relation

A = np.arange(24.0).reshape(2, 3, 4)
M = np.arange(9.0).reshape(3, 3)
PAIRS = {
    "the same": (M, M[:], "A and B are one array under two names"),
    "a row": (M, M[1], "B is A[1]"),
    "the first row": (M, M[0], "B is A[0]"),
    "a row, the part first": (M[2], M, "A is B[2]"),
    "a column": (M, M[:, 2], "B is A[:, 2]"),
    "a step": (A, A[:, 1], "B is A[:, 1]"),
    "rows": (M, M[1:], "B is A[1:3]"),
    "columns": (A, A[:, :, :2], "B is A[:, :, 0:2]"),
    "transposed": (M, M.T, "B is A.T"),
    "reshaped": (A, A.reshape(6, 4), "B is A, reshaped"),
    "partly": (M[:2], M[1:], "A and B overlap"),
    "reversed": (M, M[::-1], "A and B overlap"),
}


@pytest.mark.parametrize(("one", "other", "words"), PAIRS.values(), ids=PAIRS)
def test_it_is_said_what_one_is_of_the_other(one, other, words):
    assert np.shares_memory(one, other)
    assert relation("A", one, "B", other) == words
