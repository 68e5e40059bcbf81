"""Every route to the gradients of every recurrence says the same, to the level of rounding."""

import numpy as np
import pytest

from harness.derive import guards
from harness.derive.operations import Carry
from harness.derive.recording import Recording
from harness.derive.reverse import contribution, gradients

pytestmark = pytest.mark.slow

UNITS = 40
"""Maximum error of a tensor, in eps of its largest element."""

OURS = ["reverse", "forward mode", "complex step"]
SIZES = [{}, {"B": 1, "T": 1}, {"B": 2, "T": 9, "seed": 1}]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("route", OURS)
def test_our_routes_agree_with_complex_step_in_longdouble(recurrence, drawn, by_route, exact, worst, route, sizes):
    problem = drawn(recurrence, **sizes)
    errors = worst(by_route[route](problem), exact(problem))
    assert max(errors.values()) <= UNITS, errors


@pytest.mark.parametrize("route", OURS)
def test_our_routes_agree_in_float32(recurrence, drawn, astype, by_route, exact, worst, route):
    problem = astype(drawn(recurrence), np.float32)
    found = by_route[route](problem)
    assert {tensor.dtype for tensor in found.values()} == {np.dtype(np.float32)}
    errors = worst(found, exact(problem), np.float32)
    assert max(errors.values()) <= UNITS, errors


@pytest.mark.framework("torch")
def test_torch_agrees(recurrence, drawn, by_route, exact, worst):
    errors = worst(by_route["torch"](drawn(recurrence)), exact(drawn(recurrence)))
    assert max(errors.values()) <= UNITS, errors


@pytest.mark.framework("jax")
def test_jax_agrees(recurrence, drawn, by_route, exact, worst):
    errors = worst(by_route["jax"](drawn(recurrence)), exact(drawn(recurrence)))
    assert max(errors.values()) <= UNITS, errors


@pytest.mark.framework("tensorflow")
def test_tensorflow_agrees(recurrence, drawn, by_route, exact, worst):
    errors = worst(by_route["tensorflow"](drawn(recurrence)), exact(drawn(recurrence)))
    assert max(errors.values()) <= UNITS, errors


def along(found, direction):
    return sum(float((g * direction[name]).sum()) for name, g in found.items())


def test_differences_and_complex_steps_of_the_step_itself_agree(recurrence, drawn, by_route):
    problem = drawn(recurrence)
    direction = guards.direction(problem)
    slope = along(by_route["reverse"](problem), direction)
    by_difference, off = guards.derivative_by_difference(problem, direction)
    assert abs(slope - by_difference) <= 10 * off + 1e-8 * abs(slope)
    assert guards.derivative_by_complex_step(problem, direction) == pytest.approx(slope, rel=1e-12)


# The output of rwkv4 does not depend on the maximum that it is stabilised by, so no gradient goes through that line.
WITHOUT_GRADIENT = {"rwkv4": 1}


def test_a_wrong_factor_on_the_way_back_is_seen(recurrence, drawn, exact, worst):
    """The contributions of each line of the step are handed back ten per cent too large."""
    problem = drawn(recurrence)
    recording, expected = Recording(problem), exact(problem)
    nodes = [node for node in recording.tape.nodes if node.parents and not isinstance(node.operation, Carry)]
    lines = sorted({node.site.line for node in nodes})
    unseen = []
    for line in lines:

        def contributed(node, k, g, line=line):
            return contribution(node, k, g) * (1.1 if node.site.line == line else 1)

        if max(worst(gradients(recording, problem, contributed), expected).values()) < 1e6:
            unseen.append(line)
    assert len(unseen) == WITHOUT_GRADIENT.get(recurrence.name, 0), unseen
    assert len(lines) > len(unseen)


def test_a_state_that_is_not_carried_back_is_seen(recurrence, drawn, exact, worst):
    problem = drawn(recurrence)
    recording, expected = Recording(problem), exact(problem)
    for state in recurrence.state:

        def contributed(node, k, g, state=state):
            return contribution(node, k, g) * (0 if node.site.state == state and node.t == 2 else 1)

        errors = worst(gradients(recording, problem, contributed), expected)
        assert max(errors.values()) > 1e6, state


def test_no_letter_of_two_shapes_is_taken_for_another(recurrence, drawn):
    """The step runs with sizes in another order, too, so that no size is written into it."""
    letters = recurrence.letters
    sizes = dict(zip(letters, range(len(letters) + 1, 1, -1), strict=False))
    problem = drawn(recurrence, **sizes)
    Recording(problem)
    assert problem.steps == 5
