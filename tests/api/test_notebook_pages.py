"""Problems, results, comparisons and diagnoses in a notebook, and their short names."""

import re

import numpy as np
import pytest

import harness
from harness.markup import element, heatmap, table

FIELDS = {
    "cell": "lstm",
    "sizes": {"batch": 2, "time": 3, "input": 4, "hidden": 5},
    "weights": {"uniform": [-0.9, 0.9], "seed": 1},
    "inputs": {"normal": 1.0, "seed": 2},
    "loss": {"kind": "dot"},
    "upstream": {"normal": 1.0, "seed": 4},
}


@pytest.fixture(scope="module")
def problem():
    return harness.make_case(**FIELDS, name="mine").problem()


@pytest.fixture(scope="module")
def result(problem):
    return harness.run("numpy-split", problem)


def cells(page):
    """Return the texts of the cells of each row of the tables of a page."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page)
    return [[re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]


def test_a_problem_shows_its_arrays(problem):
    assert repr(problem) == "<Problem: mine, lstm, B 2, T 3, I 4, H 5, float64>"
    page = problem._repr_html_()
    W_hh = problem.weights["layer0.W_hh"]
    row = ["problem.weights['layer0.W_hh']", "5 × 20", f"{W_hh.min():.3g}", f"{W_hh.max():.3g}"]
    assert row in cells(page)
    assert re.findall(r"layer0\.W_hh, 5 × 20</figcaption><table><tr><th[^>]*>i</th><th[^>]*>f</th>", page)


def test_a_recurrences_problem_shows_its_letters():
    problem = harness.make_case(cell="mlstm", sizes={"batch": 2, "time": 3}).problem()
    assert re.fullmatch(r"<Problem: mlstm, mlstm, B 2, T 3, .*, float64>", repr(problem))
    assert "problem.inputs[&#x27;q&#x27;]" in problem._repr_html_() or "problem.inputs['q']" in problem._repr_html_()


def test_a_result_shows_its_tensors(result):
    assert repr(result) == f"<Result: loss {result.loss}, outputs (2, 3, 5), 6 gradients>"
    largest = np.abs(result.gradients["layer0.W_hh"]).max()
    assert ["layer0.W_hh", "5 × 20", "float64", f"{largest:.3g}"] in cells(result._repr_html_())


def test_a_result_shows_what_could_not_be_converted(problem):
    odd = harness.run(lambda _: {"layer0.W_hx": np.ones((2, 2)), "inputs": np.full((2, 3, 4), np.nan)}, problem)
    page = odd._repr_html_()
    assert "layer0.W_hx" in page
    assert '<tr class="wrong">' in page
    assert repr(odd) == "<Result: 2 gradients>"


def test_a_comparison_shows_each_tensor_and_where_it_is_wrong(problem, result):
    wrong = {**result.gradients, "layer0.b_h": result.gradients["layer0.b_h"] + np.eye(1, 20, 7)[0], "inputs": 3.0}
    comparison = harness.compare(wrong, result)
    assert repr(comparison) == "<Comparison: mismatch: 2 of 6 tensors disagree>"
    page = comparison._repr_html_()
    rows = {row[0]: row for row in cells(page) if len(row) == 9}
    assert rows["layer0.b_h"][1:3] == ["20", "mismatch"]
    assert rows["layer0.b_h"][4:6] == ["1 of 20", "[7]"]
    assert rows["layer0.W_hh"][2:6] == ["match", "0", "none", ""]
    assert "has shape ()" in page
    (grid,) = re.findall(r"layer0\.b_h, 20</figcaption>(.*?)</figure>", page)
    assert re.findall(r"<th[^>]*>(\w)</th>", grid) == ["i", "f", "g", "o"]
    assert [k for k, cell in enumerate(re.findall(r"<td[^>]*>", grid)) if "off" in cell] == [7]


def test_arrays_alone_have_no_gates():
    comparison = harness.compare({"layer0.b_h": np.zeros(4)}, {"layer0.b_h": np.ones(4)})
    assert "<th" not in comparison._repr_html_().partition("<figure>")[2]


def test_a_right_comparison_has_no_empty_column(result):
    page = harness.compare(result, result)._repr_html_()
    assert "actual" not in page
    assert '<span class="verdict match">' in page
    assert "<figure" not in page


def test_a_diagnosis_shows_its_residuals(problem, result):
    wrong = {**result.gradients, "layer0.W_hh": -result.gradients["layer0.W_hh"]}
    first, *_ = harness.diagnose(wrong, problem)
    assert re.fullmatch(r"<Diagnosis: factor, residual \d\.\de-\d\d>", repr(first))
    page = first._repr_html_()
    assert "Likely cause: <strong>factor</strong>" in page
    assert cells(page)[-1] == ["layer0.W_hh", f"{first.residual:.1e}"]


def test_texts_are_escaped():
    hostile = "<img src=x onerror=\"alert('1')\">"
    assert "<img" not in element("p", hostile, title=hostile)
    assert "<img" not in table((hostile,), [(hostile,)])
    assert "<img" not in heatmap(hostile, (1,), np.ones(1), gates=(hostile, hostile))


def test_a_large_tensor_has_the_largest_of_each_block():
    values = np.zeros((100, 96))
    values[99, 50] = 1.0
    grid = re.findall(r"<td[^>]*--s:([\d.]+)", heatmap("W", values.shape, values, gates=tuple("ifgo")))
    shades = np.array(grid, float).reshape(24, 24)
    assert np.argwhere(shades > 0).tolist() == [[23, 12]]


def test_a_value_that_is_not_finite_is_the_strongest():
    page = heatmap("b", (4,), np.array([1e-9, 1.0, np.nan, np.inf]))
    assert re.findall(r"--s:([\d.]+)", page) == ["0.00", "1.00", "1.00", "1.00"]


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 0)], ids=str)
def test_small_tensors_have_heatmaps(shape):
    assert heatmap("x", shape, np.ones(shape)).startswith("<figure>")
