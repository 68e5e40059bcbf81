"""Gradients by two biases that are only ever added are equal; no two wrong ones pass as a right one."""

import numpy as np
import pytest

import harness
from harness.layout import layouts
from harness.layout.pairs import difference
from harness.tensors import Structure

WRONG = {
    "half and zero": (0.5, 0.0),
    "zero and minus": (0.0, -1.0),
    "two and three": (2.0, 3.0),
    "second left": (1.0, 0.0),
    "second doubled": (1.0, 2.0),
    "first off by a millionth": (1 + 1e-6, 1.0),
}


CASE = """\
cell: {cell}
bidirectional: true
layers: 2
sizes: {{batch: 2, time: 3, input: 3, hidden: 4}}
weights: {{normal: 0.5, seed: 1}}
loss: {{kind: dot}}
upstream: {{normal: 1.0, seed: 2}}
"""


@pytest.fixture(scope="module", params=["torch", "onnx", "keras"])
def answered(request, tmp_path_factory):
    """Return a layout, a problem, its right gradients in the layout, and the right result."""
    path = tmp_path_factory.mktemp("case") / "x.yaml"
    cell = "gru" if request.param == "keras" else "lstm"
    path.write_text(CASE.format(cell=cell))
    problem = harness.load_case(path).problem()
    right = harness.run("numpy-split", problem)
    weights = {name: right.gradients[name] for name in problem.structure.weights}
    return request.param, problem, layouts()[request.param].gradients_from_canonical(weights, problem.structure), right


def altered(layout, gradients, first, second):
    """Return gradients whose two biases are multiplied, in the last block alone, but for the candidate's of a gru."""
    found = dict(gradients)
    if layout == "torch":
        names = "bias_ih_l1_reverse", "bias_hh_l1_reverse"
        return {**found, **{name: by * found[name] for name, by in zip(names, (first, second), strict=True)}}
    name = "layer1.B" if layout == "onnx" else [each for each in found if each.endswith(".bias")][-1]
    both = found[name].copy()
    pair = both[-1].reshape(2, -1) if layout == "onnx" else both  # (2, G·H), a view
    added = pair.shape[1] if layout == "onnx" else 2 * pair.shape[1] // 3
    pair[0, :added] *= first
    pair[1, :added] *= second
    return {**found, name: both}


def test_what_contradicts_follows_from_the_first(answered):
    layout, problem, gradients, _ = answered
    found, wrong = layouts()[layout].agreeing(altered(layout, gradients, 1.0, 0.5), problem.structure)
    name = {"torch": "bias_hh_l1_reverse", "onnx": "layer1.B"}.get(layout, "layer1.backward.bias")
    names = {
        "torch": "bias_ih_l1_reverse and bias_hh_l1_reverse",
        "onnx": "the first half of layer1.B and its second",
        "keras": "row 0 of layer1.backward.bias and its row 1, but for the candidate's third,",
    }
    assert found.keys() == gradients.keys()
    for each, gradient in gradients.items():
        np.testing.assert_array_equal(found[each], gradient)
    assert wrong.keys() == {name}
    assert wrong[name].startswith(f"{names[layout]} are only ever added, so that their gradients are equal; these are ")


def test_each_direction_that_contradicts_is_named():
    structure = Structure("lstm", layers=1, batch=1, time=1, input=1, hidden=1, output=None, directions=2)
    B = np.array([[1.0] * 4 + [2.0] * 4, [3.0] * 4 + [5.0] * 4])
    _, wrong = layouts()["onnx"].agreeing({"layer0.B": B}, structure)
    halves = (
        "the first half of layer0.B and its second are only ever added, so that their gradients are equal; these are"
    )
    assert wrong == {"layer0.B": f"{halves} 1.0 and 2.0 at [0]; {halves} 3.0 and 5.0 at [0]"}


def test_right_ones_pass(answered):
    layout, _, gradients, right = answered
    assert harness.compare(altered(layout, gradients, 1.0, 1.0), right, layout=layout).matches


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_ones_are_found_and_named(answered, wrong):
    layout, problem, gradients, right = answered
    given = altered(layout, gradients, *WRONG[wrong])
    comparison = harness.compare(given, right, layout=layout)
    assert comparison.verdict == "mismatch"
    assert "are only ever added, so that their gradients are equal" in str(comparison)
    with pytest.raises(ValueError, match="are only ever added"):
        harness.diagnose(given, problem, layout=layout)


def test_a_difference_of_rounding_is_none():
    one = np.random.default_rng(0).normal(size=20)
    names = ("bias_ih_l0", "bias_hh_l0")
    assert difference(one, one * (1 + 1e-12), names) == ""
    assert difference(one, np.where(np.arange(20) == 3, np.nan, one), names) == ""
    assert "at [3]" in difference(one, np.where(np.arange(20) == 3, 0.0, one), names)
    assert difference(np.zeros(0), np.zeros(0), names) == ""
    of_two = np.where(np.arange(20) == 3, 0.0, np.where(np.arange(20) == 5, np.nan, one))
    assert "at [3]" in difference(one, of_two, names), "NaN elsewhere hides nothing"
    assert "at [3]" in difference(of_two, one, names), "NaN elsewhere hides nothing"
    assert "at [5]" in difference(one[:9], np.where(np.arange(9) == 5, 0.0, one[:9]), names, recurrent=True)
    assert difference(one[:9], np.concatenate([one[:6], np.zeros(3)]), names, recurrent=True) == ""


@pytest.mark.parametrize("missing", ["bias_ih_l0", "bias_hh_l1_reverse"])
@pytest.mark.parametrize("answered", ["torch"], indirect=True)
def test_one_that_is_missing_is_wanted_where_all_are(answered, missing):
    layout, _, gradients, right = answered
    given = {name: each for name, each in gradients.items() if name != missing}
    assert harness.compare(given, right, layout=layout).matches
    comparison = harness.compare(given, right, layout=layout, require_all=True)
    assert f"{missing}: is missing" in str(comparison)


@pytest.mark.parametrize("answered", ["torch"], indirect=True)
def test_a_tensor_that_is_known_in_part_hides_no_contradiction(answered):
    layout, _, gradients, right = answered
    W = gradients["weight_hh_l0"]
    known = np.zeros(W.shape, bool)
    known[0] = True
    given = {**altered(layout, gradients, 0.5, 0.0), "weight_hh_l0": harness.Partial(W, known, np.zeros(W.shape))}
    assert "are only ever added" in str(harness.compare(given, right, layout=layout))
    bias = gradients["bias_hh_l0"]
    in_part = harness.Partial(0 * bias, np.zeros(bias.shape, bool), np.zeros(bias.shape))
    in_part.known[1] = True
    in_part.values[1] = bias[1]
    assert harness.compare({**gradients, "bias_hh_l0": in_part}, right, layout=layout).matches
