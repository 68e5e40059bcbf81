"""``problem.loss``: outputs of the last step alone, lists, and what has no numbers."""

import re

import numpy as np
import pytest

import harness
from harness.case import load
from tests.conftest import SMALL_CASE


@pytest.fixture
def problem(tmp_path):
    """Return the problem of a small case whose loss covers the given steps."""

    def made(steps, kind="{kind: squared_error, steps: %s}", more=""):
        file = tmp_path / "small.yaml"
        text = SMALL_CASE.replace("{kind: dot}", kind % steps).replace("upstream:", "targets:")
        file.write_text(text + more)
        (case,) = load([str(file)]).cases
        return harness.Case(**vars(case)).problem()

    return made


@pytest.mark.parametrize("steps", ["[-1]", "[2]"])
def test_the_last_step_alone_is_enough_where_the_loss_covers_it_alone(problem, steps):
    it = problem(steps)
    outputs = harness.run("numpy-split", it).outputs  # (B, T, H)
    value, d_outputs = it.loss(outputs)
    of_last, d_last = it.loss(outputs[:, -1])
    assert of_last == value
    np.testing.assert_array_equal(d_last, d_outputs[:, -1])
    assert d_last.any()
    assert not d_outputs[:, :-1].any()


@pytest.mark.parametrize("steps", ["[0]", "[-2, -1]", "[0, 1, 2]"])
def test_where_it_covers_other_steps_all_outputs_are_needed(problem, steps):
    it = problem(steps)
    words = (
        "has shape (2, 5), but should have (2, 3, 5); it is that of one step alone; the case's loss covers other steps "
        "than the last"
    )
    with pytest.raises(ValueError, match=re.escape(words)):
        it.loss(np.zeros((2, 5)))


def test_sequences_of_other_lengths_have_other_last_steps(problem):
    with pytest.raises(ValueError, match="should have"):
        problem("[-1]", more="lengths: [3, 2]\n").loss(np.zeros((2, 5)))


def test_returned_outputs_of_the_last_step_are_judged(problem):
    it = problem("[-1]")
    right = harness.run("numpy-split", it)

    def compared(outputs):
        def last(problem):
            return {"outputs": outputs, "loss": right.loss, **right.gradients}

        return harness.compare(harness.run(last, it), right)

    found = compared(right.outputs[:, -1])
    assert found.matches
    (of_outputs,) = [each for each in found.tensors if each.tensor == "outputs"]
    assert of_outputs.elements == right.outputs[:, -1].size
    wrong = right.outputs[:, -1].copy()
    wrong[1, 3] *= 1.001
    found = compared(wrong)
    assert not found.matches
    assert "outputs: 1 of 10 elements outside the tolerance; 10 of 30 elements compared; worst at [1, 2, 3]" in str(
        found
    )
    assert not compared(right.outputs[:, 0]).matches


def test_returned_outputs_of_one_step_are_no_match_where_the_loss_covers_more(problem):
    it = problem("[-2, -1]")
    right = harness.run("numpy-split", it)
    found = harness.compare(harness.run(lambda _: {"outputs": right.outputs[:, -1]}, it), right)
    assert "outputs: has shape (2, 5), but should have (2, 3, 5); it is that of one step alone" in str(found)


def test_a_list_has_numbers(problem):
    it = problem("[-1]")
    outputs = harness.run("numpy-split", it).outputs
    assert it.loss(outputs.tolist())[0] == it.loss(outputs)[0]


class Traced:
    """Stand for the tensor of a framework while it traces a function."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("a value that is not known yet\nand more")


def test_what_has_no_numbers_is_refused_in_words(problem):
    words = "cannot read the numbers of a Traced: a value that is not known yet; call it outside of code that is traced"
    with pytest.raises(TypeError, match=words):
        problem("[-1]").loss(Traced())


TORCH = """
import sys
import numpy as np, torch, harness
from harness.case import load

problem = harness.load_case(sys.argv[1]).problem()
numbers = harness.run("numpy-split", problem).outputs
value, d_outputs = problem.loss(numbers)
for how in ("loss", "outputs"):
    outputs = torch.tensor(numbers, requires_grad=True)
    loss, gradient = problem.loss(outputs)
    assert float(loss) == float(value), how
    assert (gradient.numpy() == d_outputs).all(), how
    loss.backward() if how == "loss" else outputs.backward(gradient)
    assert (outputs.grad.numpy() == d_outputs).all(), how
    assert outputs.grad.any(), how
loss, gradient = problem.loss(torch.tensor(numbers))
assert isinstance(gradient, np.ndarray), "without autograd, as ever"
half = torch.tensor(numbers, dtype=torch.bfloat16, requires_grad=True)
loss, gradient = problem.loss(half)
assert loss.dtype == gradient.dtype == torch.bfloat16
assert abs(float(loss) - float(value)) < 0.05 * abs(float(value))
print("right")
"""


@pytest.mark.framework("torch")
@pytest.mark.parametrize("case", ["basic/tanh[dtype=float64]", "basic/tanh[dtype=float32]"])
def test_a_tensor_under_autograd_gives_tensors(case):
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", TORCH, case], capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "right\n", done.stderr
