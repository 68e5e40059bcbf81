"""Messages arrive as they were sent, and what is no message is refused."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.worker.transport import Channel, ChannelClosedError, ChannelTimeoutError


@pytest.fixture
def ends():
    """Two channels joined by two pipes."""
    to_left, from_right = os.pipe()
    to_right, from_left = os.pipe()
    left, right = Channel(to_left, from_left), Channel(to_right, from_right)
    yield left, right
    for end in (left, right):
        end.close()


DTYPES = [np.float16, np.float32, np.float64, np.longdouble, np.int64, np.bool_]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(DTYPES))
def test_arrays_arrive_to_the_bit(data, dtype):
    shape = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    array = data.draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(np.dtype(dtype), allow_subnormal=False)))
    to_right, from_left = os.pipe()
    channel = Channel(to_right, from_left)
    channel.send({"n": 1}, {"a": array, "transposed": array.T})
    message = channel.receive()
    channel.close()
    for name, sent in (("a", array), ("transposed", array.T)):
        assert message.arrays[name].dtype == sent.dtype
        assert message.arrays[name].shape == sent.shape
        np.testing.assert_array_equal(message.arrays[name], sent)
    assert message.header == {"n": 1}


def test_messages_larger_than_a_pipe_arrive(ends):
    left, right = ends
    large = np.arange(3_000_000.0).reshape(1000, 3000)
    sender = threading.Thread(target=left.send, args=({"what": "large"}, {"large": large}))
    sender.start()
    message = right.receive(timeout=30)
    sender.join()
    np.testing.assert_array_equal(message.arrays["large"], large)


def test_nothing_in_time_is_a_timeout(ends):
    left, _ = ends
    with pytest.raises(ChannelTimeoutError):
        left.receive(timeout=0.05)


def test_a_reader_that_does_not_read_is_a_timeout(ends):
    left, _ = ends
    with pytest.raises(ChannelTimeoutError):
        left.send({}, {"large": np.zeros(1_000_000)}, timeout=0.05)


def test_an_end_in_the_middle_of_a_message_is_noticed():
    to_right, from_left = os.pipe()
    os.write(from_left, b"\x40\0\0\0\0\0\0\0{")
    os.close(from_left)
    channel = Channel(to_right, os.open(os.devnull, os.O_WRONLY))
    with pytest.raises(ChannelClosedError):
        channel.receive()
    channel.close()


def test_what_is_no_message_is_refused():
    to_right, from_left = os.pipe()
    os.write(from_left, b"Hello, this is a library that prints to standard output")
    channel = Channel(to_right, from_left)
    with pytest.raises(ChannelClosedError, match="no message"):
        channel.receive(timeout=1)
    channel.close()
