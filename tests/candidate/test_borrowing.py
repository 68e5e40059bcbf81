"""A function that has its answer computed by the reference is noticed, and that is said; the verdict stays."""

import json
import sys

import numpy as np
import pytest

from harness.candidate import lookout
from harness.candidate.trial.borrowing import Borrowing, watched

WHOLE = "so a match does not check its own backward pass"
FORWARD = "so loss and outputs do not check its own forward pass"

SPLIT = """
def split(problem, layer, network):
    passed = network.forward(
        layer, problem.weights, problem.inputs, problem.initial_state, activation=ACTIVATIONS[problem.case.activation]
    )
    loss, d_outputs = problem.loss(passed.outputs)
    return {"loss": loss, **network.backward(layer, problem.weights, passed, d_outputs)}
"""

BY_LAYER = """\
x = problem.inputs.swapaxes(0, 1)
    w = {each: problem.weights[f"layer0.{each}"] for each in ("W_xh", "W_hh", "b_h")}
    cache = theirs(x, problem.initial_state["layer0.h0"], w, activation=ACTIVATIONS["tanh"])
    loss, d_outputs = problem.loss(cache.outputs.swapaxes(0, 1))
    _, d_h0, gradients = own(cache, d_outputs.swapaxes(0, 1))
    return {"loss": loss, "layer0.h0": d_h0, **{f"layer0.{name}": each for name, each in gradients.items()}}
"""

BORROWED = {
    "the layer under another name": (
        "from reference_impls.rnn_split import backward as own, forward as theirs",
        BY_LAYER,
        f"calls the reference implementation reference_impls.rnn_split, {WHOLE}",
    ),
    "the whole network": (
        "import reference_impls.network as numpy_helpers\nfrom reference_impls import rnn_split",
        "return split(problem, rnn_split, numpy_helpers)",
        f"calls the reference implementation reference_impls.network, {WHOLE}",
    ),
    "by the problem": (
        "from harness.problem import reference",
        "return reference.solve(problem)",
        f"calls the reference implementation harness.problem.reference, {WHOLE}",
    ),
    "an implementation of ours": (
        "from harness.implementations.numpy_split import numpy_split as helper",
        "return helper(problem)",
        f"calls the implementation numpy-split of the harness, {WHOLE}",
    ),
    "by name": (
        "",
        "return harness.run('numpy-concat', problem).tensors",
        f"calls harness.run('numpy-concat', …), {WHOLE}",
    ),
    "the forward pass alone": (
        "from harness.problem import reference",
        "r = right(problem)\n    return r | {'outputs': reference.forward(problem).outputs}",
        f"runs the reference implementation harness.problem.reference forward, {FORWARD}",
    ),
}


@pytest.mark.parametrize(("imports", "body", "said"), BORROWED.values(), ids=list(BORROWED))
def test_an_answer_of_the_reference_is_noticed_and_the_verdict_stays(check, imports, body, said):
    source = f"{imports}\nfrom reference_impls.activations import ACTIVATIONS\n{SPLIT}\n"
    source += f"@harness.implementation('mine')\ndef mine(problem):\n    {body}\n"
    done = check(source)
    assert done.status == 0, done.out + done.err
    assert f"  ! it {said} (on small)" in done.out


PROGRAM = """
import pickle, sys
problem = pickle.loads(sys.stdin.buffer.read())
from reference_impls import network, rnn_split
from reference_impls.activations import ACTIVATIONS
passed = network.forward(
    rnn_split, problem.weights, problem.inputs, problem.initial_state, activation=ACTIVATIONS["tanh"]
)
loss, d_outputs = problem.loss(passed.outputs)
answer = {"loss": loss, **network.backward(rnn_split, problem.weights, passed, d_outputs)}
"""
BY_NAME = "answer = harness.run('numpy-split', pickle.loads(sys.stdin.buffer.read())).tensors"
BY_COMMAND = """
import contextlib, io
from harness.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(["run", "cases", "--impl", "numpy-concat", "--out", "stolen"])
from harness.problem import Problem
"""
OWN = """
import my_rnn, harness.problem.reference
from reference_impls import rnn_split, network
answer = my_rnn.right(pickle.loads(sys.stdin.buffer.read()))
"""


def in_a_program(program, answer="pickle.loads(done.stdout)"):
    """Return the body of a function that has its answer from a Python program."""
    program = f"import pickle, sys, harness\n{program}\nsys.stdout.buffer.write(pickle.dumps(dict(answer)))\n"
    call = f"[sys.executable, '-c', {program!r}]"
    return (
        f"done = subprocess.run({call}, input=pickle.dumps(problem), stdout=subprocess.PIPE, check=True)\n"
        f"    return {answer}"
    )


POOLED = "with multiprocessing.get_context({!r}).Pool(1) as pool:\n        return pool.apply(solve, (problem,))"
IN_A_PROCESS = {
    "a program that imports the layers": (in_a_program(PROGRAM), "reference_impls.network in a process"),
    "a program that runs by name": (in_a_program(BY_NAME), "harness.run('numpy-split', …) in a process"),
    "a program that calls the command": (
        in_a_program(f"{BY_COMMAND}\nanswer = {{}}", "right(problem)"),
        "calls the command harness run in a process",
    ),
    "a fork": (POOLED.format("fork"), "harness.problem.reference in a process"),
    "a spawned process": (POOLED.format("spawn"), "harness.problem.reference in a process"),
    "a server of forks": (POOLED.format("forkserver"), "harness.problem.reference in a process"),
    "a fork that outlives the call": (
        (
            "if not pools:\n        pools.append(multiprocessing.get_context('fork').Pool(1))\n"
            "    return pools[0].apply(solve, (problem,))"
        ),
        "harness.problem.reference in a process",
    ),
    "a thread": ("return ThreadPoolExecutor(1).submit(solve, problem).result()", "harness.problem.reference, so"),
}
IMPORTS = """
import multiprocessing, pickle, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

pools = []


def solve(problem):
    from harness.problem import reference

    return reference.solve(problem)


"""


@pytest.mark.parametrize(("body", "said"), IN_A_PROCESS.values(), ids=list(IN_A_PROCESS))
def test_an_answer_that_comes_from_a_process_of_ones_own_is_noticed(check, body, said):
    done = check(
        f"{IMPORTS}@harness.implementation('mine')\ndef mine(problem):\n    {body}\n", "--json", function=":mine"
    )
    (found,) = done.json["results"]
    assert found["verdict"] == "match", done.out + done.err
    assert said in found["remarks"][0]


@pytest.mark.parametrize("body", [in_a_program(OWN), POOLED.format("spawn"), POOLED.format("fork")])
def test_an_answer_of_ones_own_from_a_process_is_no_borrowing(check, body):
    body = body.replace("apply(solve,", "apply(right,")
    done = check(
        f"{IMPORTS}@harness.implementation('mine')\ndef mine(problem):\n    {body}\n", "--json", function=":mine"
    )
    (found,) = done.json["results"]
    assert (found["verdict"], found["remarks"]) == ("match", []), done.out + done.err


def test_one_of_ours_that_is_handed_in_as_it_is_is_noticed(check):
    done = check(
        "from harness.implementations.numpy_split import numpy_split\n"
        "mine = harness.implementation('mine')(numpy_split.function)\n",
        function=":mine",
    )
    assert f"  ! it calls the implementation numpy-split of the harness, {WHOLE} (on small)" in done.out


def test_what_is_for_everybody_is_no_borrowing(check, workplace):
    """The case's loss, the activations, helpers and one's own functions."""
    done = check(
        """
        from reference_impls.activations import ACTIVATIONS
        from reference_impls import losses

        helper = harness.implementation("helper")(right)

        @harness.implementation("mine")
        def mine(problem):
            ACTIVATIONS["tanh"].value(problem.inputs.copy(), problem.inputs.copy())
            harness.run(helper, problem)
            return {**helper(problem.copy()), "loss": problem.loss(right(problem)["outputs"])[0]}
        """,
        "--json",
        function=":mine",
    )
    assert done.json["results"][0]["verdict"] == "match"
    assert done.json["results"][0]["remarks"] == []


def test_a_training_runs_the_reference_without_a_remark(check, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "training: {steps: 3, optimizer: {sgd: {lr: 0.01}}}\n")
    done = check("mine = harness.implementation('mine')(right)", "--json")
    assert json.loads(done.out)["results"][0]["remarks"] == []


def test_watching_ends_after_a_number_of_calls_and_leaves_other_profilers_alone(monkeypatch):
    from reference_impls import readout

    def late(problem):
        for _ in range(20):
            len(())
        return readout.backward(*problem)

    arrays = np.ones((1, 1, 1)), np.ones((1, 1)), np.ones((1, 1, 1))
    for events, noticed in ((1000, True), (10, False)):
        monkeypatch.setattr(lookout, "MOST_EVENTS", events)
        found = Borrowing()
        with watched(found):
            late(arrays)
        assert sys.getprofile() is None
        assert bool(found.whole) is noticed

    def others(*_):
        return None

    sys.setprofile(others)
    try:
        with watched(Borrowing()):
            assert sys.getprofile() is others
        assert sys.getprofile() is others
    finally:
        sys.setprofile(None)
