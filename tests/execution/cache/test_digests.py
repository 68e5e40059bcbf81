"""A digest is of what an array holds now, however often it was asked for."""

import gc

import numpy as np
import pytest

from harness.execution.cache import digests
from harness.execution.cache.digests import digest_of


@pytest.fixture
def hashed(monkeypatch):
    """Count the hashed bytes, call by call."""
    counts = []
    real = digests.hashlib.sha256

    def counted(content):
        counts.append(len(content))
        return real(content)

    monkeypatch.setattr(digests.hashlib, "sha256", counted)
    return counts


def fixed(*numbers):
    array = np.array(numbers)
    array.setflags(write=False)
    return array


def test_an_array_that_nobody_writes_to_is_hashed_once(hashed):
    array = fixed(1.0, 2.0)
    assert digest_of(array) == digest_of(array)
    assert hashed == [16]


def test_an_array_that_may_change_is_hashed_each_time(hashed):
    array = np.zeros(2)
    before = digest_of(array)
    array[1] = 1
    assert digest_of(array) != before
    array.setflags(write=False)
    once = digest_of(array)
    array.setflags(write=True)
    array[1] = 2
    assert digest_of(array) != once
    assert len(hashed) == 4


def test_a_view_may_change_with_what_it_is_a_view_of():
    base = np.zeros(3)
    view = base[1:]
    view.setflags(write=False)
    before = digest_of(view)
    base[2] = 1
    assert digest_of(view) != before


def test_another_array_in_the_place_of_one_that_is_gone_has_a_digest_of_its_own():
    expected = {each: digest_of(np.array([float(each)])) for each in range(50)}
    gc.collect()
    before = len(digests._known)
    for each, digest in expected.items():  # most have the identity of the one before
        assert digest_of(fixed(float(each))) == digest
    gc.collect()
    assert len(digests._known) == before


@pytest.mark.parametrize("array", [fixed(), np.float64(1), fixed(1, 2), np.asfortranarray(np.eye(2)[:1])])
def test_it_is_of_the_bytes_in_c_order(array):
    assert digest_of(np.asarray(array)) == digests.hashlib.sha256(np.asarray(array).tobytes()).digest()


def test_of_a_matrix_in_another_order_too():
    matrix = np.arange(6.0).reshape(2, 3)
    assert digest_of(np.asfortranarray(matrix)) == digest_of(matrix) != digest_of(matrix.T)
