"""``check_implementation`` returns what ``harness check`` prints, about a function in this process."""

import re

import numpy as np
import pytest

import harness
from tests.conftest import SMALL_CASE

SIZES = {"batch": 2, "time": 3, "input": 4, "hidden": 5}
DRAWN = {
    "weights": {"uniform": [-0.9, 0.9], "seed": 1},
    "inputs": {"normal": 1.0, "seed": 2},
    "initial_state": {"normal": 0.5, "seed": 3},
    "loss": {"kind": "dot"},
    "upstream": {"normal": 1.0, "seed": 4},
}


def case(**fields):
    return harness.make_case(**{"sizes": SIZES, **DRAWN, **fields})


def answer(problem, **changed):
    right = harness.run("derived" if problem.case.recurrence else "numpy-split", problem)
    found = {**right.tensors}
    return {**found, **{name: change(found[name]) for name, change in changed.items() if name in found}}


def right(problem):
    return answer(problem)


def negated(problem):
    return answer(problem, **{"layer0.W_hh": lambda array: -array})


def off_by_little(problem):
    return answer(problem, **{"layer0.b_h": lambda array: array * (1 + 1e-9)})


@harness.recurrence(weights={"U": "H 2*H"}, inputs={"x": "H"}, state={"h": "H"})
def gated(xp, w, x, s):
    H = s["h"].shape[-1]
    a = s["h"] @ w["U"]
    h = x["x"] + xp.sigmoid(a[:, :H]) * xp.tanh(a[:, H:])
    return {"h": h}, h


def test_a_right_function_passes():
    check = harness.check_implementation(right, case())
    assert check.passed
    assert check.conclusion.startswith("Passed: 1 match in 1 case; ")
    assert check.comparisons["rnn"].matches
    assert check.diagnoses == {}
    assert repr(check) == f"<Check: {check.conclusion}>"


@pytest.mark.parametrize(("wrong", "fault"), [(negated, "factor"), (off_by_little, None)])
def test_a_wrong_function_fails_with_its_diagnosis(wrong, fault):
    check = harness.check_implementation(wrong, case(cell="gru"))
    assert not check.passed
    assert check.comparisons["gru"].verdict == "mismatch"
    (found,) = check.diagnoses.values()
    assert fault in (found[0].fault, None)
    assert "outside the tolerance; worst at [" in str(check)


def test_it_says_what_the_command_prints(tmp_path, harness, workplace):
    source = "import harness, numpy as np\n\n\n@harness.implementation('mine')\ndef mine(problem):\n"
    source += "    dW = np.zeros_like(problem.weights['layer0.W_hh'])\n    return {'layer0.W_hh': dW}\n"
    (workplace / "mine.py").write_text(source)
    printed = harness("check", "mine.py", "small").stdout
    import harness as public

    names: dict = {}
    exec(source, names)
    (workplace / "made.yaml").write_text(SMALL_CASE)
    check = public.check_implementation(names["mine"], workplace / "cases" / "small.yaml")

    def body(text):
        _, _, rest = text.partition("\n")  # the place of the function is another one
        return re.sub(r"compared\.(.|\n)*", "compared.", rest)

    assert "Likely cause: zero" in printed
    assert body(str(check)) == body(printed)


def test_a_recurrence_is_checked_on_problems_made_for_it():
    def wrong(problem):
        return answer(problem, U=lambda array: 2 * array)

    check = harness.check_implementation(wrong, gated)
    assert not check.passed
    assert len(check.comparisons) > 10
    assert "complex-step, which has no backward pass, agrees with derived on all" in str(check)
    assert "counted twice" in next(iter(check.diagnoses.values()))[0].explanation
    assert harness.check_implementation(right, gated).passed


def test_a_problem_with_other_numbers_is_checked_as_it_is():
    problem = gated.problem(seed=5, H=3)
    assert harness.check_implementation(right, problem).passed
    harness.assert_gradients_match(right, problem)
    of_network = case().problem()
    harness.assert_gradients_match(right, of_network)
    with pytest.raises(AssertionError, match=r"layer0\.W_hh: 25 of 25 elements"):
        harness.assert_gradients_match(negated, of_network)
    assert list(harness.check_implementation(negated, of_network).comparisons) == ["rnn"]


def test_an_exception_is_an_outcome_with_its_line():
    def misspelt(problem):
        return {"layer0.W_xh": problem.weights["layer0.W_hx"]}

    check = harness.check_implementation(misspelt, case())
    assert not check.passed
    assert "did you mean 'layer0.W_xh'?" in str(check)
    assert 'problem.weights["layer0.W_hx"]' in str(check)
    assert "error" in check._repr_html_()


def test_an_exit_is_an_outcome_and_an_interruption_is_none():
    def leaving(problem):
        raise SystemExit(3)

    def interrupted(problem):
        raise KeyboardInterrupt

    assert "SystemExit: 3" in str(harness.check_implementation(leaving, case()))
    with pytest.raises(KeyboardInterrupt):
        harness.check_implementation(interrupted, case())


def test_nothing_compared_is_no_pass():
    def refusing(problem):
        raise harness.Unsupported("only lstm")

    check = harness.check_implementation(refusing, case())
    assert not check.passed
    assert "only lstm" in str(check)
    assert check.conclusion == "Nothing was compared in 1 case."
    assert "Nothing was compared" in check._repr_html_()


def test_state_that_is_kept_is_an_error_and_a_changed_input_a_warning():
    calls = []

    def stateful(problem):
        calls.append(problem)
        return answer(problem, **{"layer0.W_hh": lambda array: array * len(calls)})

    assert not harness.check_implementation(stateful, case()).passed

    def careless(problem):
        found = answer(problem)
        problem.inputs[...] = 0.0
        return found

    check = harness.check_implementation(careless, case())
    assert "Warnings:" in str(check)
    assert "Warning" in check._repr_html_()


def test_a_missing_gradient_counts_if_all_are_required():
    def part(problem):
        return {"layer0.W_hh": answer(problem)["layer0.W_hh"]}

    assert harness.check_implementation(part, case()).passed
    check = harness.check_implementation(part, case(), require_all=True)
    assert not check.passed
    assert "is missing" in str(check)


def test_another_baseline_and_an_implementation_by_name():
    check = harness.check_implementation("numpy-concat", case(), baseline="complex-step")
    assert check.passed
    assert "compared with complex-step" in str(check)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, "basic/tanh"), "function is 3, but should be"),
        ((right, 3), "case_or_recurrence is 3, but should be"),
        ((right, case(), "numpy-splitt"), "did you mean 'numpy-split'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    function, given, *baseline = arguments
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        harness.check_implementation(function, given, **({"baseline": baseline[0]} if baseline else {}))


def test_the_page_has_the_verdict_the_cause_the_tensors_and_the_wrong_gate():
    def one_gate(problem):
        def doubled(array):
            array = array.copy()
            array[:, 5:10] *= 2
            return array

        return answer(problem, **{"layer0.W_hh": doubled})

    check = harness.check_implementation(one_gate, case(cell="gru", about="<b>Not bold.</b>"))
    page = check._repr_html_()
    assert '<span class="verdict failed">Failed</span>' in page
    assert "Likely cause: <strong>gate-scaled</strong>" in page
    assert "&lt;b&gt;Not bold.&lt;/b&gt;" in page
    assert "<script" not in page
    (grid,) = re.findall(r"<figure><figcaption>layer0\.W_hh, 5 × 15</figcaption>(.*?)</figure>", page)
    assert re.findall(r"<th[^>]*>(\w)</th>", grid) == ["r", "z", "n"]
    rows = re.findall(r"<tr>(.*?)</tr>", grid)[1:]
    off = np.array([["off" in cell for cell in re.findall(r"<td[^>]*>", row)] for row in rows])
    expected = np.zeros((5, 15), bool)
    expected[:, 5:10] = True
    assert (off == expected).all()
