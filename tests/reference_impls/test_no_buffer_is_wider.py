"""Every buffer has the dtype of the numbers: a wider one hides roundings that float32 has, and costs twice."""

import sys

import numpy as np
import pytest

from reference_impls import rnn_concatenated, rnn_split
from reference_impls.bidirectional import both_ways
from reference_impls.lengths import of_lengths
from reference_impls.truncation import Window

LENGTHS = np.array([3, 1])
MAKERS = ("empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like")


@pytest.fixture
def made(monkeypatch):
    """The dtypes of all arrays of anything but whole numbers and truths that ``reference_impls`` makes, and where."""
    found = []

    def noted(make):
        def maker(*arguments, **options):
            array = make(*arguments, **options)
            caller = sys._getframe(1)
            if caller.f_globals.get("__name__", "").startswith("reference_impls") and array.dtype.kind not in "biu":
                found.append((array.dtype, f"{caller.f_globals['__name__']}:{caller.f_lineno}"))
            return array

        return maker

    for name in MAKERS:
        monkeypatch.setattr(np, name, noted(getattr(np, name)))
    return found


def check(made, net, layer, dtype, cell, truncation):
    for directions in (1, 2):
        for ends in (None, LENGTHS):
            wrapped = layer if directions == 1 else both_ways(layer)
            wrapped = wrapped if ends is None else of_lengths(wrapped, ends)
            if truncation is not None and (directions == 2 or ends is not None):
                continue
            problem = net(cell=cell, layers=2, readout=True, directions=directions, lengths=ends).astype(dtype)
            made.clear()
            problem.solve(wrapped, truncation)
            assert made
            assert {each for each, _ in made} == {np.dtype(dtype)}, [each for each in made if each[0] != dtype]


@pytest.mark.parametrize("truncation", [None, Window(1)], ids=["whole", "window"])
@pytest.mark.parametrize("dtype", ["float32", "longdouble"])
def test_of_a_gated_cell(made, net, cell, gated, dtype, truncation):
    check(made, net, gated, dtype, cell, truncation)


@pytest.mark.parametrize("truncation", [None, Window(1)], ids=["whole", "window"])
@pytest.mark.parametrize("dtype", ["float32", "longdouble"])
@pytest.mark.parametrize("layer", [rnn_split, rnn_concatenated], ids=["split", "concatenated"])
def test_of_the_plain_cell(made, net, layer, dtype, truncation):
    check(made, net, layer, dtype, "rnn", truncation)
