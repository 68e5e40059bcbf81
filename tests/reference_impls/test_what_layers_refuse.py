"""Refusals of layers and networks, and their words: a tensor that does not fit is an error, not another gradient."""

from types import SimpleNamespace

import numpy as np
import pytest

from reference_impls import lengths, lstm_split, rnn_split
from reference_impls.bidirectional import both_ways
from reference_impls.lengths import of_lengths
from reference_impls.truncation import Detach

LENGTHS = np.array([2, 3])


@pytest.mark.parametrize("more", [-1, 1], ids=["one too few", "one too many"])
@pytest.mark.parametrize("ends", [None, LENGTHS], ids=["equal", "unequal"])
def test_another_number_of_gradients_than_there_are_states(net, ends, more):
    def backward(cache, d_outputs):
        d_x, *d_states, gradients = lstm_split.backward(cache, d_outputs)
        return (d_x, *(2 * d_states)[: len(d_states) + more], gradients)

    names = {"WEIGHTS": lstm_split.WEIGHTS, "STATES": lstm_split.STATES}
    layer = SimpleNamespace(**names, forward=lstm_split.forward, backward=backward)
    with pytest.raises(ValueError, match=r"zip\(\) argument 2"):
        net(cell="lstm").solve(layer if ends is None else of_lengths(layer, ends))


def test_groups_of_sequences_that_keep_another_number_of_states():
    h = np.zeros((1, 2))
    groups = [(np.array([0]), SimpleNamespace(last=(h, h))), (np.array([1]), SimpleNamespace(last=(h,)))]
    with pytest.raises(ValueError, match=r"zip\(\) argument 2"):
        assert lengths.LengthsCache(groups, h, (1, 2, 2)).last


def test_both_directions_truncated(net):
    problem = net(directions=2)
    said = "a bidirectional layer has no truncated gradient: one direction's past is the other's future"
    with pytest.raises(ValueError, match=f"^{said}$"):
        problem.solve(both_ways(rnn_split), Detach(2))
