"""Gradients that somebody printed: to how many digits, and whether they fit the case."""

import json

import pytest

from harness.case import CaseFile, ValidCase, half_units, read
from harness.case.published import half_unit

CASE = """\
sizes: {batch: 2, time: 3, input: 4, hidden: 5}
published:
  source: a book
  gradients:
"""


def loaded(folder, gradients, extra=""):
    path = folder / "x.yaml"
    path.write_text(CASE + gradients + extra)
    return read(CaseFile(path, folder))


def said(folder, gradients):
    (mistake,) = loaded(folder, gradients).mistakes
    return str(mistake).partition("x.yaml:")[2]


@pytest.mark.parametrize(
    ("written", "half"),
    [
        ("0.50", 0.005),
        ("0.5", 0.05),
        ("-1.250", 0.0005),
        ("12", 0.5),
        ("12.", 0.5),
        (".5", 0.05),
        ("1e3", 500.0),
        ("1.50e-3", 5e-6),
        ("2.5E+1", 0.5),
        ("0", 0.5),
        ("0x1F", 0.5),
    ],
)
def test_half_a_unit_in_the_last_digit(written, half):
    assert half_unit(written) == half


def test_a_number_from_elsewhere_has_its_shortest_digits():
    given = {"gradients": [{"tensor": "layer0.b_h", "values": [0.25, 1e-07, 3]}]}
    assert half_units(given) == [[0.005, 5e-08, 0.5]]


def test_digits_survive_reading_validating_and_the_way_to_a_worker(tmp_path):
    text = "    - {tensor: layer0.b_h, values: [0.50, 0.5, 1, -2.000, 1.0e-3]}\n"
    text += "    - {tensor: layer0.h0, at: [1, 4], values: 0.10}\n"
    (case,) = loaded(tmp_path, text).cases
    expected = [[0.005, 0.05, 0.5, 0.0005, 5e-05], 0.005]
    assert case.half_units == expected
    assert ValidCase.from_plain(json.loads(json.dumps(case.to_plain()))).half_units == expected
    assert case.published["gradients"][0]["values"] == [0.5, 0.5, 1, -2.0, 1e-3]
    assert half_units(case.published)[0][0] == 0.05  # plain numbers by now


def test_digits_survive_a_sweep(tmp_path):
    text = "    - {tensor: layer0.b_h, at: [0], values: 0.50}\n"
    cases = loaded(tmp_path, text, "sweep: {dtype: [float32, float64]}\n").cases
    assert [case.half_units for case in cases] == [[0.005], [0.005]]
    swept = "sweep: {published: [{source: a, gradients: [{tensor: layer0.b_h, at: [0], values: 0.500}]}]}\n"
    path = tmp_path / "y.yaml"
    path.write_text(CASE.partition("published")[0] + swept)
    (case,) = read(CaseFile(path, tmp_path)).cases
    assert case.half_units == [0.0005]


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (
            "    - {tensor: layer0.W_hx, values: 1}\n",
            "5:16: published.gradients[0].tensor: no tensor is named 'layer0.W_hx' here; did you mean 'layer0.W_xh'?",
        ),
        (
            "    - {tensor: layer0.b_h, values: [1, 2]}\n",
            "5:36: published.gradients[0].values: a list of 2 should be a list of 5: layer0.b_h needs 5 here",
        ),
        (
            "    - {tensor: layer0.W_xh, at: [3], values: [1, 2, 3, 4, '5']}\n",
            "5:59: published.gradients[0].values[4]: '5' should be a number; without the quotes",
        ),
        (
            "    - {tensor: layer0.W_xh, at: [4], values: [1, 2, 3, 4, 5]}\n",
            "5:34: published.gradients[0].at[0]: 4 should be from 0 to 3: layer0.W_xh has shape (4, 5) here",
        ),
        (
            "    - {tensor: layer0.W_xh, at: [0, -1], values: 1}\n",
            "5:37: published.gradients[0].at[1]: -1 should be from 0 to 4: layer0.W_xh has shape (4, 5) here",
        ),
        (
            "    - {tensor: layer0.b_h, at: [0, 0], values: 1}\n",
            "5:32: published.gradients[0].at: 2 indices, but layer0.b_h has 1 axes here: (5,)",
        ),
        (
            "    - {tensor: layer0.b_h, values: [1, 2, 3, 4, 5]}\n    - {tensor: layer0.b_h, at: [3], values: 4}\n",
            "6:45: published.gradients[1].values: layer0.b_h[3] was already given, in published.gradients[0]",
        ),
        (
            "    - {tensor: layer0.b_h, vales: [1]}\n",
            "5:8: published.gradients[0].values: this key is missing",
        ),
    ],
    ids=["tensor", "length", "quotes", "index", "negative", "indices", "twice", "key"],
)
def test_mistakes_are_located(tmp_path, gradients, message):
    if "vales" in gradients:
        missing, unknown = sorted(map(str, loaded(tmp_path, gradients).mistakes))
        assert message.partition(": ")[2] in missing + unknown
        assert "published.gradients[0].vales: unknown key; did you mean 'values'?" in missing + unknown
    else:
        assert said(tmp_path, gradients) == message


def test_a_source_and_a_gradient_are_needed(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(CASE.partition("published")[0] + "published: {gradients: []}\n")
    found = sorted(map(str, read(CaseFile(path, tmp_path)).mistakes))
    assert "published.gradients" in found[1]
    assert "a list that is not empty" in found[1]
    assert "published.source: this key is missing" in found[0]
