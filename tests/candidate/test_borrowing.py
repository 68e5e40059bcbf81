"""A function that has its answer computed by the reference is noticed, and that is said; the verdict stays."""

import json
import sys

import numpy as np
import pytest

from harness.candidate.trial import borrowing
from harness.candidate.trial.borrowing import Borrowing, watched

WHOLE = "so a match says nothing of its own backward pass"
FORWARD = "so loss and outputs say nothing of its own forward pass"

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
    w = [problem.weights[f"layer0.{each}"] for each in ("W_xh", "W_hh", "b_h")]
    cache = theirs(x, problem.initial_state["layer0.h0"], *w, activation=ACTIVATIONS["tanh"])
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
        monkeypatch.setattr(borrowing, "MOST_EVENTS", events)
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
