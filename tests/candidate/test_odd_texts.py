"""No text of a user's costs the report: odd characters are escaped, long texts are cut, and all else is there."""

import csv
import os
import sys

import numpy as np
import pytest

from harness import load_case
from harness.candidate.trial import try_out
from harness.report import read
from harness.result import MOST_UNKNOWN
from harness.result import read as read_returned
from harness.result.returned import NotReadable, named

MANY = 10_000


def rows(report, table="comparisons.csv"):
    with (report / table).open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["implementation"] != "numpy-split"]


ODD = {
    "a_name_of_a_tensor": ("r['\\ud800'] = r['\\ud801'] = r['loss'] + 0; return r", 1, [r"\ud800", r"\ud801"]),
    "a_name_of_50_megabytes": (
        "r['x' * 50_000_000] = r['loss'] + 0; return r",
        1,
        ["(49,999,800 characters left out)"],
    ),
    "two_long_names_cut_alike": (
        "a = 'x' * 1000; r[a + 'y' + a] = r[a + 'z' + a] = r['loss'] + 0; return r",
        1,
        [" … xxx", "xxx (2)"],
    ),
    "names_alike_as_text": ("r[1] = r['1'] = r['loss'] + 0; return r", 1, ["returned '1',", "returned '1 (2)',"]),
    "what_it_raises": ("raise ValueError('here \\udcff')", 3, [r"ValueError: here \udcff"]),
    "what_it_raises_of_50_megabytes": (
        "raise ValueError('here' + 'x' * 50_000_000 + 'there')",
        3,
        ["ValueError: herexxx", "characters left out", "xxxthere"],
    ),
    "a_key_of_50_megabytes": ("problem.weights['x' * 50_000_000]", 3, ["KeyError: 'xxx", "characters left out"]),
    "why_it_is_not_supported": ("raise harness.Unsupported('\\udcff' + 'x' * 50_000_000)", 5, [r"\udcffxxx"]),
    "the_name_of_a_class": ("r['layer0.b_h'] = type('x' * 50_000_000, (), {})(); return r", 3, ["but is a xxx"]),
    "what_a_second_call_raises": (
        "state.append(1)\n    if len(state) > 1: raise ValueError('\\udcff' + 'x' * 50_000_000)\n    return r",
        3,
        [r"the second call raised ValueError: \udcffxxx"],
    ),
}


@pytest.mark.parametrize(("body", "status", "words"), ODD.values(), ids=ODD)
def test_an_odd_text_is_written_and_everything_else_is_there(check, workplace, body, status, words):
    source = f"state = []\n@harness.implementation('mine')\ndef mine(problem):\n    r = right(problem)\n    {body}\n"
    done = check(source)
    assert done.status == status, done.out[:3000] + done.err[:3000]
    report = workplace / "reports/check"
    written = done.out + "".join(each.read_text(encoding="utf-8") for each in report.glob("*.*"))
    for each in words:
        assert each in written
    read(report)
    assert len((report / "index.html").read_bytes()) < 2_000_000
    if status == 1:
        assert {row["tensor"] for row in rows(report) if row["verdict"] == "match"} >= {"loss", "layer0.W_hh"}
    assert check(source, "--json").json["results"]


def test_an_implementation_of_an_odd_name_has_a_report(check, workplace):
    done = check("right.__doc__ = '\\ud800' * 50_000\nmine = harness.implementation('m\\udcff')(right)\n")
    assert done.status == 0, done.out + done.err
    assert {row["implementation"] for row in rows(workplace / "reports/check")} == {r"m\udcff"}
    read(workplace / "reports/check")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file's name is text")
def test_a_file_whose_name_is_no_text_has_a_report(check, workplace):
    name = os.fsdecode(b"my\xff.py")
    done = check("mine = harness.implementation('mine')(right)\n", file=name)
    assert done.status == 0, done.out + done.err
    assert r"my\udcff.py" in done.out
    read(workplace / "reports/check")
    assert {row["tensor"] for row in rows(workplace / "reports/check")} >= {"loss", "layer0.W_hh"}
    done = check("raise ValueError('now')\n", file=name)
    assert rf"Error: my\udcff.py:{check.lines + 1}: importing it raised ValueError: now" in done.err


def test_printed_characters_that_do_not_encode_are_shown(check):
    done = check(
        """\
        @harness.implementation("mine")
        def mine(problem):
            print("a \\ud800 b \\xe9")
            return right(problem)
        """
    )
    assert done.status == 0, done.out + done.err
    assert r"a \ud800 b é" in done.err


def test_a_note_does_not_hide_the_exception(check):
    done = check(
        """\
        @harness.implementation("mine")
        def mine(problem):
            error = ValueError("the exception")
            error.add_note("a note")
            raise error
        """
    )
    assert "error        small  ValueError: the exception" in done.out
    assert "a note" in done.out.partition("Traceback")[2]


def mine(problem):
    """The loss and a gradient, and many names that are no tensor's."""
    shape = problem.weights["layer0.W_hh"].shape
    array = np.ones(shape)
    return {**{f"layer0.W_hx{i}": array for i in range(MANY)}, "layer0.W_hh": array, "loss": np.ones(())}


def test_of_many_unknown_names_the_number_is_said(monkeypatch):
    problem = load_case("basic/tanh[dtype=float64]").problem()
    looked_at = []
    monkeypatch.setattr(
        "harness.result.result.why_not", lambda name, *_: looked_at.append(name) or f"{name} is unknown"
    )
    found = read_returned(mine(problem), "split", problem, 0.0)
    assert len(looked_at) <= MOST_UNKNOWN + 1
    assert len(found.tensors) == MOST_UNKNOWN + 2
    assert {"loss", "layer0.W_hh"} <= set(found.tensors), "what is known is kept, wherever it stands"
    assert found.misfits["layer0.W_hx0"] == (
        "layer0.W_hx0 is unknown; 9,900 more names, which are left out here, are no tensors of this case"
    )


def test_of_many_arrays_that_share_memory_the_number_is_said():
    import harness

    problem = load_case("basic/tanh[dtype=float64]").problem()
    trial = try_out(harness.implementation("mine")(mine), problem)
    (shared,) = [each.text for each in trial.remarks if each.kind == "shared memory"]
    assert shared.count(" and ") == 11
    assert shared.endswith(f"and {101 * 100 // 2 - 10:,} more")


class Nameless:
    def __str__(self):
        raise RuntimeError("no name")


def test_a_key_without_a_name_is_refused():
    with pytest.raises(NotReadable, match="a key is a Nameless that gives no name: RuntimeError: no name"):
        named({Nameless(): 1.0})
