"""``harness check`` on files with recurrences and implementations of them."""

import re
import textwrap

import pytest

STEP = '''\
import numpy as np
import harness


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


@harness.recurrence(weights={"W_z": "I H", "W_h": "I H", "b": "H"}, inputs={"x": "I"}, state={"h": "H"})
def leaky(xp, w, x, s):
    """A gated average."""
    z = xp.sigmoid(x["x"] @ w["W_z"] + w["b"])
    h = (1 - z) * s["h"] + z * xp.tanh(x["x"] @ w["W_h"])
    return {"h": h}, h


'''

MINE = """\
@harness.implementation("mine", recurrence=leaky)
def my_leaky(problem):
    W_z, W_h, b = (problem.weights[name] for name in ("W_z", "W_h", "b"))
    x, h = problem.inputs["x"], problem.initial_state["h"]
    T, kept = x.shape[1], []
    for t in range(T):
        z, n = sigmoid(x[:, t] @ W_z + b), np.tanh(x[:, t] @ W_h)
        kept.append((h, z, n))
        h = (1 - z) * h + z * n
    dW_z, dW_h, db, dx = (np.zeros_like(each) for each in (W_z, W_h, b, x))
    dh = problem.upstream_state["h"].copy()
    for t in reversed(range(T)):
        h, z, n = kept[t]
        dh = dh + problem.upstream[:, t]
        da_z = dh * (n - h) * z * (1 - z)
        da_n = dh * z * (1 - n**2)
        dW_z += x[:, t].T @ da_z
        dW_h += x[:, t].T @ da_n
        db += da_z.sum(0)
        dx[:, t] = da_z @ W_z.T + da_n @ W_h.T
        dh = dh * (1 - z)
    return {"W_z": dW_z, "W_h": dW_h, "b": db, "inputs.x": dx, "h0": dh}
"""


@pytest.fixture
def checked(check):
    """Check the recurrence, the implementation as changed, and what is added; return what the command did."""

    def run(*arguments, old="", new="", added="", source=STEP + MINE):
        if old:
            assert source.count(old) == 1, old
            source = source.replace(old, new)
        return check(source + textwrap.dedent(added), *arguments, alone=True, file="mine.py")

    return run


def test_a_right_one(checked):
    did = checked()
    assert did.status == 0, did.out
    assert did.err == ""
    assert "mine.py:17 my_leaky, compared with derived" in did.out
    assert re.search(r"complex-step, .*, agrees with derived on all 13 problems", did.out)
    assert "13 match" in did.out
    assert "harness.assert_gradients_match(..., leaky)" in did.out


@pytest.mark.slow
@pytest.mark.framework("flint")
def test_proven_digits_check_the_baseline(checked):
    assert "certified, whose digits are proven, agrees with derived on all 13 problems" in checked().out
    alone = checked(source=STEP)
    assert "certified, whose digits are proven, agrees" in alone.out
    assert "13 match in 13 cases" in alone.out


@pytest.mark.slow
@pytest.mark.framework("flint")
def test_an_oracle_without_an_answer_says_why(checked):
    undecided = STEP.replace('(1 - z) * s["h"] +', '(1 - z) * s["h"] + xp.abs(z - z) +')
    did = checked(source=undecided)
    assert did.status == 0, did.out
    assert "certified has no answer: cannot be certified with at most 4096 bits" in did.out
    assert "on which side of the kink of abs" in did.out


WRONG = {
    "last state": (
        'problem.upstream_state["h"].copy()',
        'np.zeros_like(problem.upstream_state["h"])',
        "last-state",
        "last state h is left out",
    ),
    "slope": ("da_n = dh * z * (1 - n**2)", "da_n = dh * z", "slope", "the slope of the tanh is left out"),
    "carry": ("dh = dh * (1 - z)", "dh = 0 * dh", "dropped", "the gradient into the state h is left out"),
    "bias": ("db += da_z.sum(0)", "db = da_z.sum(0)", "step-weights", "b has the first step alone"),
    "upstream": ("problem.upstream[:, t]\n", "problem.upstream[:, T - 1 - t]\n", "upstream", "in reverse order"),
    "index": ("dW_h += x[:, t].T", "dW_h += x[:, t - 1].T", "stale", "x of the step before"),
    "operand": ("(n - h) * z * (1 - z)", "n * z * (1 - z)", "dropped", "is left out"),
    "mean": (
        "db += da_z.sum(0)",
        "db += da_z.mean(0)",
        "mean",
        "the gradient into b is a mean where it should be a sum",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_one_is_named(checked, fault):
    old, new, name, text = WRONG[fault]
    did = checked(old=old, new=new)
    assert did.status == 1, did.out
    assert f"Likely cause: {name}\n" in did.out
    assert text in " ".join(did.out.split())
    assert "After fixing it, run: harness check mine.py" in did.out
    assert "unexplained" not in did.out


def test_a_forward_pass_of_its_own_is_held_to_the_step(checked):
    did = checked(old='return {"W_z"', new='return {"outputs": np.stack([k[2] for k in kept], 1), "W_z"')
    assert did.status == 1
    assert "forward pass computes something else" in " ".join(did.out.split())


def test_a_part_of_the_gradients_is_enough(checked):
    did = checked(old='return {"W_z": dW_z, "W_h": dW_h, "b": db, "inputs.x": dx, "h0": dh}', new='return {"b": db}')
    assert did.status == 0, did.out
    assert "Not returned, so not compared:" in did.out
    for name in ("W_z", "W_h", "inputs.x", "h0"):
        assert name in did.out


def test_a_file_with_a_recurrence_alone(checked):
    did = checked(source=STEP)
    assert did.status == 0, did.out
    assert "mine.py leaky, compared with derived" in did.out
    assert "13 match" in did.out


REFUSED = {
    "a batch mean": (
        "z = xp.sigmoid(",
        "z = xp.sigmoid(xp.mean(s['h'], axis=0, keepdims=True) + ",
        "affect each other",
    ),
    "a function of NumPy": ("xp.tanh(", "np.tanh(", "a step uses np.tanh, .*use xp.tanh"),
    "a step that raises": (
        "z = xp.sigmoid(",
        "raise ZeroDivisionError('of mine'); z = xp.sigmoid(",
        "ZeroDivisionError: of mine",
    ),
    "an undeclared weight": ('x["x"] @ w["W_z"]', 'x["x"] @ w["W_zz"]', r"w\['W_zz'\] is not declared"),
    "an undeclared input": ('x["x"] @ w["W_z"]', 'x["y"] @ w["W_z"]', r"x\['y'\] is not declared"),
    "an undeclared state": ('return {"h": h}, h', 'return {"c": h}, h', "returned no state 'h'"),
    "a letter that does not fit": ('"W_h": "I H"', '"W_h": "I K"', "K|shape|fit"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_step_that_is_refused(checked, mistake):
    old, new, text = REFUSED[mistake]
    did = checked(old=old, new=new, source=STEP)
    assert did.status != 0
    said = did.out + did.err
    assert re.search(text, said), said
    assert "mine.py" in said
    assert "Traceback" not in said
    assert "StepError" not in said


DECLARED_WRONG = {
    "a letter of the batch": ('"b": "H"', '"b": "B H"', "B, the batch, which is never written"),
    "no text": ('"b": "H"', '"b": 5', "is 5, but should be a text such as"),
    "a bad shape": ('"b": "H"', '"b": "4H"', "has '4H', but should have letters, numbers or products"),
    "three arguments": ("def leaky(xp, w, x, s):", "def leaky(xp, w, x):", r"should take \(xp, w, x, s\)"),
}


@pytest.mark.parametrize("mistake", DECLARED_WRONG)
def test_a_wrong_declaration(checked, mistake):
    old, new, text = DECLARED_WRONG[mistake]
    did = checked(old=old, new=new)
    assert did.status == 2
    said = did.out + did.err
    assert re.search(text, said), said
    assert "mine.py:9: leaky" in said
    assert "Traceback" not in said


NETWORK = """\
@harness.implementation("mine", recurrence=leaky, supports={"layers": (1,)})
def my_network(problem):
    W_z, W_h, b = (problem.weights[f"layer0.{name}"] for name in ("W_z", "W_h", "b"))
    x, h, kept = problem.inputs, problem.initial_state["layer0.h0"], []
    for t in range(x.shape[1]):
        z, n = sigmoid(x[:, t] @ W_z + b), np.tanh(x[:, t] @ W_h)
        there = (t < problem.lengths)[:, None]
        kept.append((h, z, n, there))
        h = np.where(there, (1 - z) * h + z * n, h)
    outputs = np.stack([np.where(there, (1 - z) * h + z * n, 0) for h, z, n, there in kept], 1)
    loss, upstream = problem.loss(outputs)
    dW_z, dW_h, db, dx, dh = (np.zeros_like(each) for each in (W_z, W_h, b, x, h))
    for t in reversed(range(x.shape[1])):
        h, z, n, there = kept[t]
        d = np.where(there, dh + upstream[:, t], 0)
        da_z, da_n = d * (n - h) * z * (1 - z), d * z * (1 - n**2)
        dW_z += x[:, t].T @ da_z
        dW_h += x[:, t].T @ da_n
        db += da_z.sum(0)
        dx[:, t] = da_z @ W_z.T + da_n @ W_h.T
        dh = np.where(there, d * (1 - z), dh)
    return {"loss": loss, "outputs": outputs, "layer0.W_z": dW_z, "layer0.W_h": dW_h, "layer0.b": db, "inputs": dx,
            "layer0.h0": dh}
"""


@pytest.mark.slow
def test_a_case_of_ones_own_recurrence_in_a_network(checked, workplace):
    case = workplace / "cases" / "own.yaml"
    case.write_text("about: Mine.\ncell: leaky\nlengths: [5, 7, 1]\nloss: {kind: squared_error}\n")
    did = checked("cases/own.yaml", source=STEP + NETWORK)
    assert did.status == 0, did.out + did.err
    assert "complex-step, which has no backward pass, agrees" in did.out
    assert "1 match in 1 case; 7 tensors" in did.out
    wrong = checked("cases/own.yaml", source=STEP + NETWORK, old="t < problem.lengths", new="t < 7 + problem.lengths")
    assert wrong.status == 1, wrong.out
    assert "layer0.h0" in wrong.out


@pytest.mark.slow
def test_mistakes_in_a_case_of_ones_own_are_placed(checked, workplace):
    case = workplace / "cases" / "own.yaml"
    case.write_text("cell: leaky\nlengths: [5, 8, 1]\n")
    did = checked("cases/own.yaml")
    assert did.status == 2
    assert "cases/own.yaml:2:14: lengths[1]: a length of 8 should be from 1 to 7" in did.err
    case.write_text("cell: leaky\nlayers: 2\n")
    did = checked("cases/own.yaml")
    assert "KeyError: 'W_z'; did you mean 'layer0.W_z'?" in did.out
    assert did.out.splitlines()[-1] == "To check it again, run: harness check mine.py cases/own.yaml"


def test_several_implementations(checked):
    added = """
    @harness.implementation("other", recurrence=leaky)
    def other(problem):
        found = my_leaky(problem)
        return {**found, "b": 2 * found["b"]}
    """
    did = checked(added=added)
    assert did.status == 1, did.out
    assert "mine.py:17 my_leaky" in did.out
    assert "other" in did.out
    assert "b" in did.out
    assert "13 mismatch" in did.out
    assert "13 match" in did.out


def test_one_of_several_by_name(check):
    added = textwrap.dedent("""
    @harness.implementation("other", recurrence=leaky)
    def other(problem):
        return {"b": 2 * my_leaky(problem)["b"]}
    """)
    assert check(STEP + MINE + added, alone=True, file="mine.py", function=":mine").status == 0
    assert check(STEP + MINE + added, alone=True, file="mine.py", function=":other").status == 1
    assert check(STEP + MINE + added, alone=True, file="mine.py", function=":others").status == 2


OF_THE_LIBRARY = """\
import numpy as np
import harness


@harness.implementation("mine", recurrence="min_gru")
def my_min_gru(problem):
    return harness.run("derived", problem).tensors
"""


def test_an_implementation_of_the_librarys_recurrence(checked):
    did = checked(source=OF_THE_LIBRARY)
    assert did.status == 0, did.out + did.err
    assert "13 match" in did.out
    wrong = checked(source=OF_THE_LIBRARY, old=".tensors\n", new='.tensors | {"inputs.x": 0 * problem.inputs["x"]}\n')
    assert wrong.status == 1
    assert "inputs.x is zero" in wrong.out


def test_a_recurrence_of_no_name(checked):
    did = checked(source=OF_THE_LIBRARY, old='"min_gru"', new='"min_gruu"')
    assert did.status == 2
    assert "there is no recurrence 'min_gruu'; did you mean 'min_gru'?" in did.err + did.out


BAD_ANSWERS = {
    "a wrong name": ('"inputs.x": dx', '"input.x": dx', "input.x", 1),
    "a wrong shape": ('"b": db', '"b": db[None]', "b", 1),
    "NaN": ('"b": db', '"b": db * np.nan', "NaN", 3),
    "no dictionary": ('return {"W_z"', 'return [0] or {"W_z"', "list", 3),
    "nothing": ('return {"W_z"', '{"W_z"', "None", 3),
    "an error": ("T, kept = x.shape[1], []", "T, kept = x.shape[7], []", "IndexError", 3),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_a_bad_answer(checked, answer):
    old, new, text, status = BAD_ANSWERS[answer]
    did = checked(old=old, new=new)
    assert did.status == status, did.out
    assert text in did.out
    assert "harness/" not in did.err


def test_a_name_that_is_nearly_right_is_hinted_at(checked):
    did = checked(old='"inputs.x": dx', new='"dx": dx')
    assert did.status == 1
    assert "dx" in did.out


def test_a_file_that_prints(checked):
    did = checked(old="    T, kept = x.shape[1], []", new='    print("said by mine"); T, kept = x.shape[1], []')
    assert did.status == 0, did.out
    assert "13 match" in did.out


def test_one_that_hangs_is_ended(checked):
    did = checked("--limit", "2", old="T, kept = x.shape[1], []", new="T, kept = x.shape[1], []\n    while True: pass")
    assert did.status == 3, did.out + did.err
    assert "did not answer within 2 s; it was at mine.py:22 in my_leaky" in did.out
    assert "does not agree" not in did.out  # no route is wrong because the process is at an end


def test_a_step_that_hangs_is_ended(checked):
    did = checked(
        "--limit", "2", source=STEP, old="    z = xp.sigmoid(", new="    while True: pass\n    z = xp.sigmoid("
    )
    assert did.status != 0
    assert "Traceback" not in did.err


def test_as_json(checked):
    did = checked("--json", old="db += da_z.sum(0)", new="db = da_z.sum(0)")
    assert did.status == 1
    results = {each["case"]: each for each in did.json["results"] if each["implementation"] == "mine"}
    assert len(results) == 13
    assert all(case.startswith("leaky[") for case in results)
    assert {each["verdict"] for case, each in results.items() if "T=1," not in case} == {"mismatch"}
    assert {each["verdict"] for case, each in results.items() if "T=1," in case} == {"match"}
    assert all(each["reason"].startswith("b: ") for each in results.values() if each["verdict"] == "mismatch")


def test_the_report_is_read_again(checked, check, tmp_path):
    folder = tmp_path / "report"
    did = checked("--out", str(folder), old="db += da_z.sum(0)", new="db = da_z.sum(0)")
    assert did.status == 1, did.out + did.err
    shown = check.command("show", str(folder))
    assert "leaky[" in shown.out
    judged = check.command("judge", str(folder))
    assert judged.status == 1
    assert "mismatch" in judged.out


def test_one_that_writes_to_its_inputs_is_told_so(checked):
    did = checked(old='dh = problem.upstream_state["h"].copy()', new='dh = problem.upstream_state["h"]; dh += 0.1')
    assert did.status == 1
    assert 'problem.upstream_state["h"]' in did.out or "problem.upstream_state['h']" in did.out


def test_one_that_returns_another_dtype_is_told_so(checked):
    did = checked(old='"b": db', new='"b": db.astype(np.float64)')
    assert "float64" in did.out


MODULE = """\
import torch


class Cell(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, h, W_z, W_h, b):
        z, n = torch.sigmoid(x @ W_z + b), torch.tanh(x @ W_h)
        ctx.save_for_backward(x, h, W_z, W_h, z, n)
        return (1 - z) * h + z * n

    @staticmethod
    def backward(ctx, dh):
        x, h, W_z, W_h, z, n = ctx.saved_tensors
        da_z = dh * (n - h) * z * (1 - z)
        da_n = dh * z * (1 - n**2)
        return da_z @ W_z.T + da_n @ W_h.T, dh * (1 - z), x.T @ da_z, x.T @ da_n, da_z.sum(0)


@harness.implementation("in-torch", recurrence=leaky)
def in_torch(problem):
    w = {name: torch.tensor(each, requires_grad=True) for name, each in problem.weights.items()}
    x = torch.tensor(problem.inputs["x"], requires_grad=True)
    h0 = h = torch.tensor(problem.initial_state["h"], requires_grad=True)
    loss = 0
    for t in range(x.shape[1]):
        h = Cell.apply(x[:, t], h, w["W_z"], w["W_h"], w["b"])
        loss = loss + (h * torch.tensor(problem.upstream[:, t])).sum()
    loss = loss + (h * torch.tensor(problem.upstream_state["h"])).sum()
    loss.backward()
    return {**{name: each.grad for name, each in w.items()}, "inputs.x": x.grad, "h0": h0.grad, "loss": loss}
"""


@pytest.mark.framework("torch")
def test_a_function_of_torch(checked):
    did = checked(source=STEP + MODULE)
    assert did.status == 0, did.out + did.err
    assert "13 match" in did.out
    wrong = checked(source=STEP + MODULE, old="dh * (n - h) * z * (1 - z)", new="dh * (n - h) * z")
    assert wrong.status == 1
    assert "the slope of the sigmoid" in wrong.out


def test_the_sensitivity_of_the_problems_that_are_made(check, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(STEP + MINE)
    did = check.command("sensitivity", str(file))
    assert did.status == 0, did.out + did.err
    found = re.search(r"Together, the cases detect (\d+) of the (\d+) faults of the step of leaky\.", did.out)
    assert found
    assert found[1] == found[2]
    assert int(found[1]) > 50


def test_the_sensitivity_of_a_problem_of_ones_own(check, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(STEP)
    did = check.command("sensitivity", str(file), "--problem", "B=1,T=16,I=8,H=8", "--json")
    assert did.status == 0, did.out + did.err
    (row,) = did.json
    assert set(row["missed"].values()) == {"one sequence"}
    assert '`h = (1 - z) * s["h"] + z * xp.tanh(x["x"] @ w["W_h"])`' in " ".join(row["seen"])
    did = check.command("sensitivity", str(file), "--problem", "B=1,G=8")
    assert did.status == 2
    assert "leaky has no size 'G'; there are B, T, I or H" in did.err
    did = check.command("sensitivity", str(file), "recurrences/mlstm")
    assert did.status == 2
    assert "is about the recurrence leaky" in " ".join(did.err.split())


def test_the_sensitivity_of_a_file_that_is_refused(check, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(STEP.replace("xp.tanh", "np.tanh"))
    did = check.command("sensitivity", str(file))
    assert did.status == 2
    assert "a step uses np.tanh" in did.err
    assert "Traceback" not in did.err
    file.write_text(
        "import harness\n\n\n@harness.implementation('m', layout='split')\ndef m(problem):\n    return {}\n"
    )
    did = check.command("sensitivity", str(file))
    assert did.status == 2
    assert "is about networks; their faults depend on the case alone, so name cases" in " ".join(did.err.split())
