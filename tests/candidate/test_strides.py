"""Candidates that read an array's memory as if it lay in order are caught; those that read its elements are right."""

import ctypes
import sys
from dataclasses import replace

import numpy as np
import pytest

import harness
from harness.problem.configurations import configurations
from harness.problem.memory import strided
from harness.recurrences import recurrences

MIN_GRU = recurrences()["min_gru"]


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 4), (1, 1), (3, 1, 4), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_a_view_has_equal_elements(shape, dtype):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    view = strided(array)
    np.testing.assert_array_equal(view, array)
    assert view.dtype == array.dtype
    assert not np.shares_memory(view, array)
    if array.size > 1:
        assert not view.flags.c_contiguous
        assert not view.flags.f_contiguous


def test_it_is_time_first_sliced_and_reversed(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    batch, time, feature = strided(np.zeros((3, 7, 4))).strides
    assert (batch, time, feature) == (4 * 16, -3 * 4 * 16, 16)


def test_nothing_is_reversed_where_torch_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", object())
    assert all(step > 0 for step in strided(np.zeros((3, 7, 4))).strides)


def as_it_lies(array):
    """Read an array as a kernel does that takes a pointer and a shape."""
    size = (array.size - 1) * array.itemsize  # no further than the array reaches
    low = min(0, sum((n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True) if stride < 0))
    start = array.__array_interface__["data"][0] + low
    read = np.frombuffer(ctypes.string_at(start, size + array.itemsize), array.dtype)
    return read.reshape(array.shape)


def elements(array):
    return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)


def base(array):
    """Read what an array is a view of."""
    return (array if array.base is None else np.asarray(array.base).reshape(-1)[: array.size]).reshape(array.shape)


def through(read, *names):
    """Return an implementation that reads some arrays of its problem in a way of its own."""

    def implementation(problem):
        read_here = {
            "upstream": {"targets": read(problem.targets)},
            "inputs": {"inputs": {name: read(array) for name, array in problem.inputs.items()}},
            "upstream_state": {"upstream_state": {n: read(each) for n, each in problem.upstream_state.items()}},
            "initial_state": {"initial_state": {n: read(each) for n, each in problem.initial_state.items()}},
            "weights": {"weights": {n: read(each) for n, each in problem.weights.items()}},
        }
        changed = replace(problem, **{key: value for name in names for key, value in read_here[name].items()})
        return dict(harness.run("derived", changed).gradients)

    return implementation


ARRAYS = ["upstream", "inputs", "upstream_state", "initial_state", "weights"]


@pytest.mark.parametrize("name", ARRAYS)
def test_a_pointer_to_one_array_is_caught(name):
    with pytest.raises(AssertionError, match=r"^min_gru\[dtype=float64,B=2,T=4,.*,strided\]: implementation against"):
        harness.assert_gradients_match(through(as_it_lies, name), MIN_GRU)


def test_the_base_of_an_array_is_caught():
    with pytest.raises(AssertionError, match=r"strided\]: "):
        harness.assert_gradients_match(through(base, "upstream"), MIN_GRU)


def test_elements_are_right():
    harness.assert_gradients_match(through(elements, *ARRAYS), MIN_GRU)
    harness.assert_gradients_match(through(np.ascontiguousarray, *ARRAYS), MIN_GRU)


@pytest.mark.framework("torch")
def test_a_pointer_of_torch_is_caught():
    import torch

    def read(array):
        tensor = torch.as_tensor(array)
        return tensor.as_strided(tensor.shape, torch.empty(tensor.shape).stride()).numpy()

    with pytest.raises(AssertionError, match=r"strided\]: "):
        harness.assert_gradients_match(through(read, "upstream"), MIN_GRU)
    harness.assert_gradients_match(through(lambda array: torch.as_tensor(array).contiguous().numpy(), *ARRAYS), MIN_GRU)
    harness.assert_gradients_match(through(lambda array: torch.tensor(array).numpy(), *ARRAYS), MIN_GRU)


def test_only_the_case_says_so():
    of_memory = [case.memory for case in configurations(MIN_GRU)]
    assert of_memory.count("strided") == 1
    assert of_memory[0] == "contiguous"


NETWORK = """\
import ctypes
import numpy as np
import harness


def read(array):
    return READ


@harness.implementation("mine", layout="LAYOUT")
def mine(problem):
    from dataclasses import replace
    changed = replace(problem.as_dtype("float64"), inputs=read(problem.inputs).astype(float))
    return {"loss": harness.run("numpy-split", changed).loss}
"""
CASE = """\
cell: rnn
sizes: {batch: 2, time: 3, input: 4, hidden: 5}
weights: {normal: 0.5, seed: 1}
inputs: {normal: 1.0, seed: 2}
targets: {normal: 1.0, seed: 3}
loss: {kind: squared_error}
memory: strided
"""


def test_a_network_case_may_say_so(check, tmp_path):
    case = tmp_path / "views.yaml"
    right = NETWORK.replace("READ", "array.copy()").replace("LAYOUT", "split")
    case.write_text(CASE)
    assert check(right, str(case), alone=True, file="mine.py").status == 0
    wrong = right.replace("array.copy()", "np.asarray(array.base).reshape(-1)[: array.size].reshape(array.shape)")
    assert check(wrong, str(case), alone=True, file="mine.py").status == 1
    case.write_text(CASE.replace("memory: strided\n", ""))
    plain = wrong.replace("array.base", "(array if array.base is None else array.base)")
    assert check(plain, str(case), alone=True, file="mine.py").status == 0
