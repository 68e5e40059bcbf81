"""Mistakes in files with recurrences: each message has the line, the right form, and the nearest name."""

from __future__ import annotations

import re

import numpy as np
import pytest

import harness
from harness.derive.guards import consistent
from harness.derive.recording import Recording
from harness.derive.stepping import StepError
from harness.execution.processes.answering import answered
from harness.execution.processes.messages import of_problem
from harness.execution.processes.transport import Message
from harness.recurrences import recurrences

FILE = """\
import numpy as np
import harness

KEPT = []


@harness.recurrence(weights={"W": "I H", "U": "H H"}, inputs={"x": "I"}, state={"h": "H"})
def cell(xp, w, x, s):
    a = x["x"] @ w["W"] + s["h"] @ w["U"]
    LINE
    return {"h": h}, h


@harness.implementation("mine", recurrence=cell)
def mine(problem):
    return BODY
"""
HERE = "mine.py"
LINE = 10
"""The line of the step with each mistake."""


def made(tmp_path, line="h = xp.tanh(a)"):
    """Return the recurrence of a file."""
    file = tmp_path / HERE
    source = FILE.replace("LINE", line).replace("BODY", "{}")
    file.write_text(source)
    names: dict[str, object] = {}
    exec(compile(source, str(file), "exec"), names)
    return names["cell"]


OF_A_STEP = {
    "None": ("h = xp.tanh(None)", "xp.tanh received None, as an absent optional array is; write the step for both"),
    "a text": ("h = xp.tanh('a')", "xp.tanh received a str, but takes arrays and numbers"),
    "a list": ("h = xp.tanh([1.0])", "xp.tanh received a list, but takes arrays and numbers"),
    "all weights": ("h = xp.tanh(w)", "xp.tanh received arrays by name, but takes arrays and numbers"),
    "a comparison": ("h = xp.exp(a > 0)", "xp.exp received a comparison, but takes arrays and numbers"),
    "two arrays for one": ("h = xp.tanh(a, a)", "xp.tanh takes one array, but received 2 arguments"),
    "one array for two": ("h = xp.maximum(a)", "xp.maximum takes two arrays, but received 1 arguments"),
    "an upper-case name": ("h = xp.Tanh(a)", "xp has no 'Tanh'; did you mean 'tanh'?"),
    "a name of torch": ("h = xp.cat([a, a])", "xp has no 'cat'; did you mean 'concat'?"),
    "a comparison as an index": ("h = a[a > 0]", "an index of a step is a comparison; use slices, whole numbers"),
    "an array as an index": ("h = a[a]", "an index of a step is an array; use slices, whole numbers, None or …"),
    "rounding": (
        "h = round(a)",
        "TypeError: .*an array of a step .*; use xp, operators and slices",
    ),
    "a call of itself": ("h = cell(xp, w, x, s)[1]", "RecursionError: maximum recursion depth exceeded"),
    "an assertion": ("assert a.shape == (9, 9); h = a", "AssertionError$"),
}


@pytest.mark.parametrize("mistake", OF_A_STEP)
def test_a_step_is_refused_in_its_own_line(tmp_path, mistake):
    line, text = OF_A_STEP[mistake]
    with pytest.raises(StepError, match=rf"^cell, line \d+ of .*mine\.py: {text}") as refused:
        made(tmp_path, line).problem()
    assert f"line {LINE} of" in str(refused.value) or mistake == "a call of itself"
    assert "Node" not in str(refused.value)


LOCATED = {
    "a random number": ("h = xp.tanh(a) * float(np.random.uniform(0.5, 1))", "two calls with the same arrays differ"),
    "a count": ("KEPT.append(0); h = xp.tanh(a) / len(KEPT)", "two calls with the same arrays differ"),
    "a mean of the batch": ("h = a - xp.mean(a, axis=0, keepdims=True)", "sequences of the batch affect each other"),
    "a size of the batch": ("h = xp.tanh(a) / len(a)", "sequences of the batch affect each other"),
    "a NaN": ("h = xp.log(a)", "a NaN or an infinity, so that no derivative is a number; .* positive="),
    "an infinity": ("h = a / (a - a)", "a NaN or an infinity"),
}


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("mistake", LOCATED)
def test_a_guard_names_the_line(tmp_path, mistake):
    line, text = LOCATED[mistake]
    with pytest.raises(StepError, match=rf"^cell, line {LINE} of .*mine\.py: .*{text}"):
        consistent(made(tmp_path, line).problem().sequences)


def checked(check, line="h = xp.tanh(a)", body="dict(harness.run('derived', problem).tensors)", added=""):
    return check(FILE.replace("LINE", line).replace("BODY", body) + added, alone=True, file=HERE)


OTHER = """

@harness.recurrence(weights={}, inputs={"x": "H"}, state={"h": "H"}, name="cell")
def other(xp, w, x, s):
    return {"h": x["x"]}, x["x"]
"""
OF_A_FILE = {
    "two of one name": (OTHER, "mine.py: two recurrences are called 'cell', in lines 7 and 19; rename one of them"),
    "a function for a recurrence": (
        "\n\n@harness.implementation('m', recurrence=lambda: 1)\ndef m(problem): ...\n",
        r"mine.py:19: recurrence is a function, but should be a function under @harness.recurrence\(…\), or a name",
    ),
    "a layout": (
        "\n\n@harness.implementation('m', recurrence=cell, layout='torch')\ndef m(problem): ...\n",
        "mine.py:19: layout is 'torch', but a recurrence has no layout but its own; leave `layout` out",
    ),
    "nearly a name": (
        "\n\n@harness.implementation('m', recurrence='Cell')\ndef m(problem): ...\n",
        "mine.py:19: m: there is no recurrence 'Cell'; did you mean 'cell'?",
    ),
    "a context that is a list": (
        "\n\n@harness.recurrence(weights={}, inputs={'x': 'H'}, state={}, context=['m'])\ndef n(xp, w, x, s): ...\n",
        r"mine.py:19: n: context is \['m'\], but should be shapes by name",
    ),
}


@pytest.mark.parametrize("mistake", OF_A_FILE)
def test_a_file_is_refused(check, mistake):
    added, text = OF_A_FILE[mistake]
    did = checked(check, added=added)
    assert did.status == 2, did.out
    assert re.search(text, did.err), did.err
    assert "Traceback" not in did.err


OF_AN_IMPLEMENTATION = {
    "another case": ("{'W': problem.weights['w']}", "KeyError: 'w'; did you mean 'W'?"),
    "another holder": ("{'W': problem.weights['x']}", "KeyError: 'x'; it is in problem.inputs"),
    "a dictionary as an array": (
        "{'W': problem.inputs.sum()}",
        r"'dict' object has no attribute 'sum'; problem.inputs has arrays by name; write problem.inputs\['x'\]",
    ),
    "a part of an attribute": ("{'W': problem.state}", "no attribute 'state'; did you mean 'initial_state'?"),
    "nearly an attribute": ("{'W': problem.upstreams}", "no attribute 'upstreams'; did you mean 'upstream'?"),
}


@pytest.mark.parametrize("mistake", OF_AN_IMPLEMENTATION)
def test_an_implementation_ends_in_an_error(check, mistake):
    body, text = OF_AN_IMPLEMENTATION[mistake]
    did = checked(check, body=body)
    assert did.status == 3, did.out
    assert re.search(text, did.out), did.out
    assert "mine.py" in did.out


def test_a_right_file_passes(check):
    assert checked(check).status == 0


def fails_elsewhere(xp, w, x, s):
    a = x["x"] @ w["W"] + s["h"]
    h = xp.tanh(a) if type(a).__module__.startswith(("harness", "numpy")) else xp.tanh(a, undefined)  # noqa: F821
    return {"h": h}, h


FRAMEWORKS = [
    pytest.param("torch-cell", marks=pytest.mark.framework("torch")),
    pytest.param("jax", marks=pytest.mark.framework("jax")),
    pytest.param("tensorflow", marks=pytest.mark.framework("tensorflow")),
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_step_that_fails_in_a_framework_costs_that_one_alone(framework):
    declared = harness.recurrence(weights={"W": "I H"}, inputs={"x": "I"}, state={"h": "H"})(fails_elsewhere)
    header, arrays = of_problem(declared.problem())

    def asked(name):
        return answered(Message({"do": "run", "implementation": name, **header}, arrays), {"fails_elsewhere": declared})

    answer, _ = asked(framework)
    assert answer["status"] == "error"
    assert re.search(
        r"fails_elsewhere, line \d+ of .*test_bad_recurrences\.py: NameError: .*'undefined'", answer["reason"]
    )
    for name in ("derived", "complex-step", "forward-mode", "certified"):
        assert asked(name)[0]["status"] == "ok", name


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_number_of_numpy_widens_no_dtype(framework):
    @harness.recurrence(weights={"W": "I H"}, inputs={"x": "I"}, state={"h": "H"})
    def scaled(xp, w, x, s):
        h = xp.tanh(x["x"] @ w["W"] / np.sqrt(5.0) + s["h"] * np.float64(0.5))
        return {"h": h}, h

    problem = scaled.problem(dtype="float32")
    found = harness.run(framework, problem)
    assert {array.dtype for array in found.tensors.values()} == {np.dtype(np.float32)}
    assert harness.compare(found, harness.run("derived", problem)).matches


def test_no_step_of_the_library_is_refused():
    for each in recurrences().values():
        Recording(each.problem(T=2).sequences)
