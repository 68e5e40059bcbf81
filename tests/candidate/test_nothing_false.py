"""The page says nothing that is not so: of shapes, of precision, of what is alike, of what to do next."""

import pytest

from harness.candidate.check.first import diagnosis_lines
from harness.diagnosis import Diagnosis

FAULTY = """\
def faulty(problem, *, constant=0.0, carry=lambda d, W: d @ W.T, scale=1.0):
    w = {name.removeprefix("layer0."): array for name, array in problem.weights.items()}
    x, h = problem.inputs, [problem.initial_state["layer0.h0"]]
    for t in range(x.shape[1]):
        h.append(np.tanh(x[:, t] @ w["W_xh"] + h[-1] @ w["W_hh"] + w["b_h"] + constant))
    outputs = np.stack(h[1:], axis=1)
    loss, d_outputs = problem.loss(outputs)
    grads = {f"layer0.{name}": np.zeros_like(array) for name, array in w.items()}
    d_h = np.zeros_like(h[0])
    for t in reversed(range(x.shape[1])):
        d_a = (d_outputs[:, t] + d_h) * (1 - h[t + 1] ** 2)
        grads["layer0.W_xh"] += x[:, t].T @ d_a
        grads["layer0.W_hh"] += h[t].T @ d_a
        grads["layer0.b_h"] += d_a.sum(axis=0)
        d_h = carry(d_a, w["W_hh"])
    return {"loss": loss, "outputs": outputs, **grads, "layer0.h0": d_h}


@harness.implementation("mine")
def mine(problem):
"""


def test_a_wrong_shape_blames_nobody_else(check):
    done = check(FAULTY + "    r = faulty(problem)\n    return r | {'layer0.h0': r['layer0.h0'].sum(0)}\n")
    assert done.status == 1
    assert "baseline" not in done.out
    assert "Likely cause: wrong-shape" in done.out
    told = " ".join(done.out.split())
    assert "layer0.h0 is the sum of the right one over the batch, the gradient of one learned initial state for" in told


def test_a_shape_and_a_fault_stand_beside_each_other(check):
    source = "    r = faulty(problem)\n    r['layer0.W_hh'] = r['layer0.W_hh'].T\n"
    done = check(FAULTY + source + "    return r | {'layer0.h0': np.ones(7)}\n")
    assert "Likely cause: wrong-shape" in done.out
    assert "is no sum, mean, repetition or slice along one axis of the right one" in done.out
    assert "Another cause: transposed" in done.out
    assert "cannot distinguish it from: reshaped." in done.out, "and not from the wrong shape"
    assert "nan" not in done.out


LOW = """\
    import dataclasses
    low = lambda arrays: {name: np.float32(array) for name, array in arrays.items()}
    narrow = dataclasses.replace(problem, weights=low(problem.weights), initial_state=low(problem.initial_state),
                                 inputs=np.float32(problem.inputs))
"""
FLOAT32 = {
    "as_it_is": (
        "return faulty(narrow)",
        ("compared as float32: loss, outputs",),
    ),
    "in_float64_arrays": (
        "return {n: np.float64(a) for n, a in faulty(narrow).items()}",
        (
            "returned with float32 digits for float64 inputs, compared as float32: outputs",
            "the loss is compared as float32",
        ),
    ),
    "loss_of_float64": (
        "r = faulty(narrow); return r | {'loss': problem.loss(np.float64(r['outputs']))[0]}",
        (
            "returned as float32 for float64 inputs, compared as float32: outputs",
            "the loss is compared as float32, like all else",
        ),
    ),
}


@pytest.mark.parametrize(("body", "words"), FLOAT32.values(), ids=FLOAT32)
def test_right_code_in_float32_matches_and_is_said_to_be_that(check, body, words):
    done = check(f"{FAULTY}{LOW}    {body}\n")
    assert done.status == 0, done.out + done.err
    for each in words:
        assert each in done.out


@pytest.mark.parametrize("body", [body for body, _ in FLOAT32.values()], ids=FLOAT32)
def test_wrong_code_in_float32_is_named_all_the_same(check, body):
    wrong = body.replace("faulty(narrow)", "faulty(narrow, carry=lambda d, W: d @ W)")
    done = check(f"{FAULTY}{LOW}    {wrong}\n")
    assert done.status == 1
    assert "Likely cause: carry-untransposed" in done.out
    slightly = body.replace("faulty(narrow)", "faulty(narrow, carry=lambda d, W: d @ W.T * np.float32(1.0001))")
    assert check(f"{FAULTY}{LOW}    {slightly}\n").status == 1


def test_a_loss_of_float32_alone_is_not_summed_otherwise(check):
    done = check(FAULTY + "    r = faulty(problem)\n    return r | {'loss': np.float64(np.float32(r['loss']))}\n")
    assert done.status == 1
    assert "how the loss is summed" not in done.out
    assert "The outputs match; the loss has a relative error of" in done.out
    done = check(FAULTY + "    r = faulty(problem)\n    return r | {'loss': r['loss'] / 7.7}\n")
    assert "check how the loss is summed" in done.out
    assert "No fault of the catalogue explains these numbers" in done.out


def test_a_small_constant_is_not_called_float32(check):
    done = check(FAULTY + "    return faulty(problem, constant=1e-12)\n")
    assert done.status == 1
    assert "lower-precision" not in done.out
    assert "float32" not in done.out
    assert "1e-12 is added to the argument of each nonlinearity" in " ".join(done.out.split())
    assert "is not meant for" not in done.out


def test_gradients_that_are_far_off_do_not_follow_from_outputs_that_are_nearly_right(check):
    done = check(FAULTY + "    return faulty(problem, constant=1e-12, carry=lambda d, W: d @ W)\n")
    assert "for every gradient follows from it" not in done.out
    assert "far less than the gradients" in done.out


def test_what_is_within_the_tolerance_of_the_case_is_not_first_off(check, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "tolerance: {rtol: 0.02, atol: 0.05}\n")
    done = check(
        FAULTY + "    r = {n: a * 1.001 for n, a in faulty(problem).items()}\n"
        "    return r | {'layer0.b_h': 2 * r['layer0.b_h']}\n"
    )
    assert "first wrong output" not in done.out
    assert "layer0.b_h is 2 times as large as the right one" in done.out
    assert "The outputs match" in done.out


def test_a_tolerance_below_rounding_is_said_to_be_that(check, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "tolerance: {rtol: 0.0, atol: 1.0e-300}\n")
    done = check(FAULTY + "    return faulty(problem)\n")
    assert done.status == 1
    assert "Likely cause: tolerance-below-rounding" in done.out


def test_a_first_answer_that_is_right_is_said_to_be(check):
    done = check(
        FAULTY.replace("@harness", "calls = []\n\n\n@harness")
        + "    calls.append(1)\n    return faulty(problem, carry=lambda d, W: d @ W.T * len(calls))\n"
    )
    assert done.status == 1
    assert "this is the second of its two answers; the first is right, so state is kept from the first call" in done.out
    assert "random number" not in done.out


def test_cases_with_another_explanation_are_not_the_same(check, sweep):
    sweep("{sizes.time: [3, 4, 5, 6]}")
    done = check(
        FAULTY + "    r = faulty(problem)\n    W = r['layer0.W_hh']\n"
        "    return r | {'layer0.W_hh': W.T if problem.case.sizes.time < 6 else 2 * W}\n"
    )
    assert "Same result in 2 other cases" in done.out
    assert "mismatch in 1 case, first in small[sizes.time=6]: layer0.W_hh (factor)" in done.out


def test_a_factor_that_differs_from_case_to_case_is_the_same(check, sweep):
    sweep("{sizes.time: [3, 4, 5]}")
    done = check(
        FAULTY + "    r = faulty(problem)\n    return r | {'layer0.W_hh': r['layer0.W_hh'] / problem.case.sizes.time}\n"
    )
    assert "Same result in 2 other cases" in done.out


WITHOUT_READOUT_BIAS = """\
    if problem.case.readout == "none":
        return faulty(problem)
    w, x, h, states = problem.weights, problem.inputs, problem.initial_state["layer0.h0"], []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ w["layer0.W_xh"] + h @ w["layer0.W_hh"] + w["layer0.b_h"])
        states.append(h)
    outputs = np.stack(states, axis=1) @ w["readout.W_hy"]
    return {"outputs": outputs, "loss": problem.loss(outputs)[0]}
"""


def test_leaving_cases_out_is_not_advised_for_a_fault(check, workplace):
    """All that fails has a readout, but a readout is not what is not meant: its bias is left out."""
    case = (workplace / "cases" / "small.yaml").read_text()
    with_readout = case.replace("hidden: 5}", "hidden: 5, output: 3}") + "readout: linear\n"
    (workplace / "cases" / "with_readout.yaml").write_text(with_readout)
    done = check(FAULTY + WITHOUT_READOUT_BIAS)
    assert done.status == 1, done.out
    assert "Likely cause: readout-bias-left-out" in done.out
    assert "supports=" not in done.out
    assert "is not meant for" not in done.out


def test_of_several_fields_that_divide_none_is_picked(check, workplace):
    case = (workplace / "cases" / "small.yaml").read_text()
    (workplace / "cases" / "other.yaml").write_text(f"{case}cell: lstm\nlayers: 2\ndtype: float32\n")
    done = check(FAULTY + "    return faulty(problem)\n")
    assert done.status in (1, 3)
    assert "supports=" not in done.out
    assert "For cases outside its scope" in done.out


def test_explanations_of_the_same_tensors_exclude_each_other_and_others_do_not():
    told = "\n".join(
        diagnosis_lines(
            [
                Diagnosis("zero", "b is zero.", {"b": 0.0}),
                Diagnosis("factor + zero", "W is doubled. And: b is zero.", {"W": 0.0, "b": 0.0}),
                Diagnosis("unexplained", "unexplained: h0", {"h0": 1.0}),
            ]
        )
    )
    assert "Likely cause: zero" in told
    assert "cannot distinguish it from: factor + zero" in told
    assert "Simulating this fault reproduces b to 0.0e+00" in told
    assert "Another cause: unknown. No fault of the catalogue explains h0." in told


OUTPUTS_ALONE = {
    "of_the_last_step": ("r['outputs'][0, 3, 2] += 1; return r", "loss and gradients were computed from other outputs"),
    "of_an_uncovered_step": ("r['outputs'][0, 0, 2] += 1; return r", "at a step that the loss does not cover"),
    "of_nothing_else": ("return {'outputs': r['outputs'] + 1}", "check the forward pass"),
}


@pytest.mark.parametrize(("body", "words"), OUTPUTS_ALONE.values(), ids=OUTPUTS_ALONE)
def test_outputs_that_disagree_alone_are_those_of_the_loss_only_where_it_looks(check, workplace, body, words):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text().replace("{kind: dot}", "{kind: dot, steps: [-1]}"))
    done = check(f"{FAULTY}    r = faulty(problem)\n    {body}\n")
    assert words in done.out
    assert "forward pass is most likely right" not in done.out
