"""``harness check`` on files about recurrences: with cases, without, and ``harness new --recurrence``."""

import pytest

import harness
from harness.candidate import templates

CASE = """\
about: A peephole LSTM.
cell: peephole_lstm
sizes: {batch: 2, I: 4, H: 5}
sweep: {sizes.time: [1, 3]}
"""

MINE = """\
import harness


@harness.implementation("mine", recurrence="peephole_lstm")
def mine(problem):
    return {}
"""

RENAMED = """\
import harness
from harness.recurrences import recurrences

library = recurrences()["peephole_lstm"]


@harness.recurrence(weights=library.weights, inputs=library.inputs, state=library.state)
def peephole_lstm(xp, w, x, s):
    return library.step(xp, w, x, s)
"""

ANSWERS = """\
import harness
from harness.problem.reference import solve


@harness.implementation("mine", recurrence="peephole_lstm")
def mine(problem):
    found = solve(problem)
    return {{"U": found["U"] * {factor}, "outputs": found["outputs"]}}
"""


@pytest.fixture
def lstm(workplace):
    """A case of a recurrence beside one of a network."""
    (workplace / "cases" / "lstm.yaml").write_text(CASE)
    return workplace


def test_a_case_of_the_library_is_checked(check, lstm):
    done = check(ANSWERS.format(factor=1), "lstm", alone=True)
    assert done.status == 0, (lstm, done.err)
    assert "match        lstm  2 cases: 2 tensors" in done.out
    assert "To check it on problems made for peephole_lstm, run: harness check my_rnn.py" in done.out


def test_a_wrong_gradient_is_caught_on_it(check, lstm):
    done = check(ANSWERS.format(factor=-1), "lstm", alone=True)
    assert done.status == 1, lstm
    assert "Likely cause: " in done.out
    assert "U: 100 of 100 elements" in done.out
    assert "After fixing it, run: harness check my_rnn.py lstm" in done.out


def test_of_several_cases_those_of_the_recurrence_are_checked(check, lstm):
    done = check(ANSWERS.format(factor=1), "lstm", "small", alone=True)
    assert (done.status, "small" in done.out) == (0, False), lstm
    assert "1 of 3 cases are left out: small is a case of a network, and my_rnn.py is about the recurrence" in done.err


@pytest.mark.parametrize(
    ("source", "case", "said"),
    [
        (MINE, "small", "small is a case of a network, and my_rnn.py is about the recurrence peephole_lstm; leave"),
        (templates.recurrence(), "lstm", "of the recurrence peephole_lstm, and my_rnn.py is about the recurrence l"),
        (RENAMED, "lstm", "a case of the library's peephole_lstm, and my_rnn.py declares a peephole_lstm of its"),
        (templates.implementation(), "lstm", '@harness.implementation(..., recurrence="peephole_lstm")'),
    ],
    ids=["network", "another", "same name", "no recurrence"],
)  # fmt: skip
def test_a_case_of_something_else_is_refused(check, lstm, source, case, said):
    done = check(source, case, alone=True)
    assert done.status == 2, lstm
    assert said in done.err


def test_an_implementation_of_networks_passes_cases_of_recurrences_over(check, lstm):
    done = check(templates.implementation(), alone=True)
    assert done.status == 0, (lstm, done.err)
    assert "Passed: 1 match" in done.out
    assert "left out" not in done.err


def test_a_new_recurrence_passes(check, workplace):
    done = check.command("new", "--recurrence", "leaky")
    assert done.status == 0
    assert done.out == (
        "wrote leaky.py: a leaky unit and its gradients by hand, to change as you like\nnext: harness check leaky.py\n"
    )
    done = check.command("check", "leaky.py")
    assert done.status == 0, done.out + done.err
    assert "Passed: 13 match in 13 cases" in done.out
    assert "Not provided" not in done.out
    assert check.command("new", "--recurrence", "leaky.py").status == 2
    assert (workplace / "leaky.py").read_text() == templates.recurrence()


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [("da @ U.T", "da @ U", "untransposed"), ("(1 - y[:, t] ** 2)", "(1 - y[:, t])", "slope")],
)
def test_a_new_recurrence_with_a_mistake_does_not(check, right, wrong, fault):
    source = templates.recurrence()
    assert source.count(right) == 1
    done = check(source.replace(right, wrong), alone=True)
    assert done.status == 1
    assert f"Likely cause: {fault}\n" in done.out


def test_a_new_recurrence_is_none_of_the_library():
    assert "leaky_unit" not in harness.recurrences.recurrences()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine", "--recurrence", "mine.py"], "harness new --recurrence my.py"),
        (["--recurrence", "mine.py", "--implementation", "mine.py"], "harness new --recurrence my.py"),
        (["--recurrence", "mine.py", "--cell", "gru"], "leave --cell out"),
        (["--recurrence", "mine.py", "--like", "small"], "leave --like out"),
        (["--recurrence", "mine.txt"], "should be a Python file"),
    ],
)
def test_a_new_recurrence_is_one_thing(check, arguments, said):
    done = check.command("new", *arguments)
    assert done.status == 2
    assert said in done.err


def test_python_takes_the_same_case(lstm):
    def right(problem):
        return {"U": harness.run("derived", problem).gradients["U"]}

    def halved(problem):
        return {"U": right(problem)["U"] / 2}

    file = lstm / "cases" / "lstm.yaml"
    harness.assert_gradients_match(right, file)
    with pytest.raises(AssertionError, match="diagnosis: "):
        harness.assert_gradients_match(halved, file)
    case = harness.load_cases(lstm / "cases" / "lstm.yaml")[1]
    assert harness.run("derived", case.problem()).gradients.keys() >= {"U", "inputs.x", "h0"}
