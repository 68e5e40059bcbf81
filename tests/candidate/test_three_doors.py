"""``harness.compare``, ``harness.assert_gradients_match`` and ``harness check`` agree, tensor by tensor."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
import warnings
from functools import partial

import pytest

import harness
from tests.candidate.conftest import CASE
from tests.conftest import ROOT

MINE = '''\
"""Answers of many kinds; which one is asked for stands at the beginning of the case's name."""

import numpy as np
import harness

calls = {}


def right(problem):
    w = {name.removeprefix("layer0."): array for name, array in problem.weights.items()}
    relu = problem.case.activation == "relu"
    x, h = problem.inputs, [problem.initial_state["layer0.h0"]]
    for t in range(x.shape[1]):
        a = x[:, t] @ w["W_xh"] + h[-1] @ w["W_hh"] + w["b_h"]
        h.append(np.maximum(a, 0) if relu else np.tanh(a))
    outputs = np.stack(h[1:], axis=1)
    loss, d_outputs = problem.loss(outputs)
    grads = {f"layer0.{name}": np.zeros_like(array) for name, array in w.items()}
    d_inputs, d_h = np.zeros_like(x), np.zeros_like(h[0])
    for t in reversed(range(x.shape[1])):
        d_a = (d_outputs[:, t] + d_h) * ((h[t + 1] >= 0) if relu else 1 - h[t + 1] ** 2)
        grads["layer0.W_xh"] += x[:, t].T @ d_a
        grads["layer0.W_hh"] += h[t].T @ d_a
        grads["layer0.b_h"] += d_a.sum(axis=0)
        d_inputs[:, t], d_h = d_a @ w["W_xh"].T, d_a @ w["W_hh"].T
    return {"loss": loss, "outputs": outputs, **grads, "inputs": d_inputs, "layer0.h0": d_h}


def changed(r, **by_kind):
    return r | {f"layer0.{kind}": change(r[f"layer0.{kind}"]) for kind, change in by_kind.items()}


def renamed(r, **kinds):
    return {next((new for old, new in kinds.items() if name == f"layer0.{old}"), name): r[name] for name in r}


def known_in_part(array):
    known = np.arange(array.size).reshape(array.shape) % 3 > 0
    return harness.Partial(np.where(known, array, np.nan), known, np.zeros(array.shape))


def restless(r):
    again = calls.setdefault("restless", [])
    again.append(None)
    return r if len(again) % 2 else changed(r, b_h=lambda g: 2 * g)


ANSWERS = {
    "right": lambda r: r,
    "rounded": lambda r: changed(r, W_hh=lambda g: g * (1 + 1e-15)),
    "nearly": lambda r: changed(r, W_hh=lambda g: g * (1 + 1e-9)),
    "wrong": lambda r: changed(r, b_h=lambda g: 1.001 * g, W_xh=np.negative),
    "in_part": lambda r: {"layer0.W_hh": r["layer0.W_hh"]},
    "wrong_in_part": lambda r: {"layer0.W_hh": r["layer0.W_hh"].T.copy()},
    "no_gradient": lambda r: {"loss": r["loss"]},
    "wrong_loss": lambda r: r | {"loss": 2 * r["loss"]},
    "wrong_outputs": lambda r: r | {"outputs": r["outputs"] + 1e-3},
    "misshapen": lambda r: changed(r, W_xh=np.transpose),
    "misnamed": lambda r: renamed(r, W_xh="layer0.W_hx"),
    "of_torch": lambda r: renamed(r, W_xh="weight_ih_l0") | {"weight_ih_l0": r["layer0.W_xh"].T},
    "not_finite": lambda r: changed(r, b_h=lambda g: np.full_like(g, np.nan)),
    "float32": lambda r: {name: np.float32(array) for name, array in r.items()},
    "whole_numbers": lambda r: changed(r, b_h=lambda g: np.zeros(g.shape, int)),
    "lists": lambda r: {name: array.tolist() for name, array in r.items()},
    "partial": lambda r: changed(r, W_hh=known_in_part),
    "wrong_partial": lambda r: changed(r, W_hh=lambda g: known_in_part(-g)),
    "restless": restless,
}


@harness.implementation("mine")
def mine(problem):
    return ANSWERS[problem.case.name.partition("-")[0]](right(problem))
'''

KINK = """\
activation: relu
weights: {layer0.b_h: zeros, default: {uniform: [-0.9, 0.9], seed: 1}}
inputs: zeros
initial_state: zeros
"""
DOCUMENTED = "expect: mismatch\nbecause: others differ\nimplementations: [torch]\n"

FIELDS = {
    "tolerance": "tolerance: {atol: 1.0e-3}\n",
    "of_tensors": "tolerance: {layer0.W_hh: {atol: 1.0e-30}, default: {rtol: 1.0e-2}}\n",
    "float32": "dtype: float32\n",
    "saturated": "dtype: float32\nsizes: {batch: 2, time: 40, input: 3, hidden: 5}\n"
    "weights: {uniform: [-4, 4], seed: 1}\n",
    "kink": KINK,
    "documented": DOCUMENTED,
    "documented_kink": KINK + DOCUMENTED,
    "training": "training: {steps: 3, optimizer: {sgd: {lr: 0.01}}}\n",
}

CASES = [
    *("right", "rounded", "nearly", "wrong", "in_part", "wrong_in_part", "no_gradient", "wrong_loss", "wrong_outputs"),
    *("misshapen", "misnamed", "of_torch", "not_finite", "float32", "whole_numbers", "lists", "partial"),
    *("wrong_partial", "nearly-tolerance", "wrong-tolerance", "float32-tolerance", "nearly-of_tensors"),
    *("rounded-of_tensors", "right-float32", "wrong-float32", "right-saturated", "wrong-saturated", "right-kink"),
    *(
        "wrong-kink",
        "right-documented_kink",
        "right-documented",
        "wrong-documented",
        "right-training",
        "wrong-training",
        "in_part-training",
    ),
]


def text_of(case):
    """Return the text of a case: the small one, with the fields of its kind in place of its own."""
    fields = FIELDS.get(case.partition("-")[2], "")
    own = [
        line
        for line in CASE.splitlines()
        if not any(line.startswith(each.partition(":")[0] + ":") for each in fields.splitlines())
    ]
    return "\n".join(own) + "\n" + fields


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("doors")
    (place / "cases").mkdir()
    for case in CASES:
        (place / "cases" / f"{case}.yaml").write_text(text_of(case))
    (place / "restless.yaml").write_text(CASE)
    (place / "mine.py").write_text(MINE)
    return place


def checked(place, *arguments):
    """Return the rows of comparisons.csv by case and tensor, and by case the results that ``harness check`` prints."""
    command = [sys.executable, "-m", "harness", "check", "mine.py", "--json", "--out", "report", *arguments]
    done = subprocess.run(
        command, cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    with (place / "report" / "comparisons.csv").open(encoding="utf-8") as file:
        rows = {(row["case"], row["tensor"]): row for row in csv.DictReader(file)}
    return rows, {each["case"]: each for each in json.loads(done.stdout)["results"]}


@pytest.fixture(scope="module", params=[False, True], ids=["any", "all required"])
def doors(request, place):
    """The answer of ``harness check`` on all cases, and whether all gradients are required."""
    return checked(place, *["--require-all"] * request.param), request.param


@pytest.fixture(scope="module")
def mine(place):
    spec = importlib.util.spec_from_file_location("of_three_doors", place / "mine.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.mine


def asserted(mine, case, require_all):
    """Return what ``assert_gradients_match`` says; empty if nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", harness.HarnessWarning)
        try:
            harness.assert_gradients_match(mine, case, require_all=require_all)
        except AssertionError as error:
            return str(error)
    return ""


def described(tensor):
    """A tensor's row in comparisons.csv, as far as both show it."""
    bound = tensor.bound
    numbers = (None, None) if bound is None else (bound.rtol, bound.atol)
    return tensor.verdict, tensor.reason, *("" if each is None else repr(float(each)) for each in numbers)


@pytest.mark.parametrize("case", CASES)
def test_three_doors_say_the_same(case, doors, mine, place):
    (rows, results), require_all = doors
    problem = harness.load_case(place / "cases" / f"{case}.yaml").problem()
    expected = harness.run("numpy-split", problem)
    compare = partial(harness.compare, expected=expected, require_all=require_all)
    comparison = compare(harness.run(mine, problem))
    for each in comparison.tensors:
        row = rows[case, each.tensor]
        assert described(each) == (row["verdict"], row["reason"], row["rtol"], row["atol"]), each.tensor
    assert results[case]["not_provided"] == list(comparison.not_provided)
    assert results[case]["verdict"] == comparison.verdict
    assert {tensor for of, tensor in rows if of == case} == {
        *(each.tensor for each in comparison.tensors),
        *comparison.not_provided,
    }
    of_arrays = compare(mine(problem))
    in_arrays = [each for each in comparison.tensors if not each.tensor.startswith("train")]
    assert list(map(str, of_arrays.tensors)) == list(map(str, in_arrays))
    said = asserted(mine, problem.case, require_all)
    assert bool(said) is not comparison.matches
    for each in comparison.disagreements:
        assert str(each) in said
    if said:
        assert f": {len(comparison.disagreements)} of {len(comparison.tensors)} tensors disagree" in said


WRONG = {case for case in CASES if case.startswith(("wrong", "mis", "of_torch", "not_finite", "whole_numbers"))}


def test_what_is_right_matches_and_what_is_wrong_does_not(doors):
    (_, results), require_all = doors
    for case in CASES:
        part = case.startswith(("in_part", "no_gradient"))
        wrong = case in WRONG or case in ("nearly", "nearly-of_tensors", "rounded-of_tensors") or (part and require_all)
        verdict = "error" if case == "not_finite" else "mismatch" if wrong else "match"
        assert results[case]["verdict"] == verdict, case


def test_of_two_answers_the_worse_counts(place, mine):
    rows, results = checked(place, "restless.yaml")
    problem = harness.load_case(place / "restless.yaml").problem()
    expected = harness.run("numpy-split", problem)
    first, second = (harness.compare(harness.run(mine, problem), expected) for _ in range(2))
    assert (first.verdict, second.verdict) == ("match", "mismatch")
    assert results["restless"]["verdict"] == "mismatch"
    for each in second.tensors:
        row = rows["restless", each.tensor]
        assert described(each) == (row["verdict"], row["reason"], row["rtol"], row["atol"])
    said = asserted(mine, problem.case, require_all=False)
    assert "this is the second of its two answers" in said
    assert str(second.disagreements[0]) in said
