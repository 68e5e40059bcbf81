"""Messages arrive as they were sent, and what is no message is refused."""

import json
import os
import resource
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.execution.processes import transport
from harness.execution.processes.transport import (
    Channel,
    ChannelClosedError,
    ChannelTimeoutError,
    NotAMessage,
    decoded,
    described,
)


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


def message(header, *content):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + b"".join(content)


NO_MESSAGES = {
    "printed text": (b"Hello, this is a library that prints to standard output", "its header should have"),
    "a header of a gibibyte": ((2**30).to_bytes(8, "little"), "its header should have 1,073,741,824 bytes"),
    "a header that is no JSON": (message(b"{"), "its header is no JSON"),
    "a header that is no UTF-8": (message(b'{"a": "\xff"}'), "its header is no JSON"),
    "a header nested without end": (message(b"[" * 100_000), "its header is no JSON"),
    "a number of too many digits": (message(b'{"arrays": ' + b"1" * 10_000 + b"}"), "its header is no JSON"),
    "a header that is a list": (message([1]), "an object that lists arrays"),
    "no list of arrays": (message({"status": "ok"}), "an object that lists arrays"),
    "arrays of another form": (message({"arrays": [["a", "<f8"]]}), r"but is \['a', '<f8'\]"),
    "a name that is no text": (message({"arrays": [[1, "<f8", []]]}), r"but is \[1, '<f8', \[\]\]"),
    "the same name twice": (message({"arrays": [["a", "|b1", [0]]] * 2}), "two arrays of one name"),
    "an unknown dtype": (message({"arrays": [["a", "<f9", [1]]]}), "'<f9' is no dtype"),
    "a dtype of objects": (message({"arrays": [["a", "|O", [1]]]}), "'|O' is no dtype"),
    "a dtype that is a program": (message({"arrays": [["a", "(2**40,)f8", [1]]]}), "is no dtype"),
    "a negative size": (message({"arrays": [["a", "<f8", [-3, -5]]]}), r"\[-3, -5\] is no shape"),
    "a size that is no whole number": (message({"arrays": [["a", "<f8", [1.5]]]}), r"\[1.5\] is no shape"),
    "a size that is true": (message({"arrays": [["a", "<f8", [True]]]}), r"\[True\] is no shape"),
    "too many axes": (message({"arrays": [["a", "<f8", [1] * 40]]}), "is no shape"),
    "nothing, but enormous": (message({"arrays": [["a", "<f8", [0, 2**40, 2**40]]]}), "is no shape"),
    "more than memory holds": (message({"arrays": [["a", "<f8", [2**45]]]}), "262,144.0 GiB of arrays, but"),
    "many that memory cannot hold": (
        message({"arrays": [[f"{i}", "<f8", [2**27]] for i in range(100_000)]}),
        "100,000.0 GiB of arrays, but",
    ),
}


@pytest.fixture
def little_memory():
    """Let this process have a gibibyte more than it has, so that allocating what a header says fails."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:  # noqa: PTH123
        there = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (there + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc to look at memory")  # noqa: PTH112
@pytest.mark.parametrize(("sent", "words"), NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_what_is_no_message_is_refused_before_anything_is_allocated(ends, little_memory, sent, words):
    left, right = ends
    writing = threading.Thread(target=os.write, args=(left.sending, sent))
    os.set_blocking(left.sending, True)
    writing.start()
    with pytest.raises(ChannelClosedError, match="no message") as refused:
        right.receive(timeout=10)
    writing.join()
    assert refused.match(words)
    with pytest.raises(NotAMessage, match="no message"):
        decoded(memoryview(sent))


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc to look at memory")  # noqa: PTH112
def test_what_is_announced_and_never_comes_is_not_allocated(ends, little_memory, monkeypatch):
    monkeypatch.setattr(transport, "MOST_UNASKED", 2**40)
    left, right = ends
    os.write(left.sending, message({"arrays": [["a", "<f8", [2**29]]]}, b"\0"))  # four gibibytes, and one byte
    with pytest.raises(ChannelTimeoutError):
        right.receive(timeout=0.1)


def test_bytes_that_end_early_or_late_are_no_message():
    header, buffers = described({"n": 1}, {"a": np.arange(3.0)})
    whole = b"".join([header, *buffers])
    assert decoded(memoryview(whole)).header == {"n": 1}
    for other in (whole[:4], whole[:20], whole[:-1], whole + b"\0"):
        with pytest.raises(NotAMessage):
            decoded(memoryview(other))


def test_texts_of_others_are_made_fit(ends):
    left, right = ends
    left.answer({"reason": "x" * 50_000_000 + "\udcff", "by name": {"\ud800": ["\ud801 é", 1.5]}})
    header = right.receive(timeout=10).header
    assert header["by name"] == {"\\ud800": ["\\ud801 é", 1.5]}
    assert len(header["reason"]) < 11_000
    assert "characters left out" in header["reason"]
    assert header["reason"].endswith("x\\udcff")
