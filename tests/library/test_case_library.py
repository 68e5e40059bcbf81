"""The library of cases: each file has one reason of its own, and docs/cases.md describes all of them."""

import re
from dataclasses import replace
from pathlib import Path

from benchmarks.case_library import Findings, features, firsts, furthest, of_loss, of_recursion, reason, sizes_of
from harness.case import Loss, Sizes, ValidCase, load
from harness.case.loading import find
from harness.implementations import implementations

ROOT = Path(__file__).parents[2]
CASES = load([str(ROOT / "cases")], implementations()).cases
PAGE = (ROOT / "docs" / "cases.md").read_text(encoding="utf-8")
ROWS = {
    row.split(" | ")[0].removeprefix("| "): row.split(" | ")
    for row in PAGE.partition("## Spellings")[0].splitlines()
    if re.match(r"\| \w+/", row)
}
FILES = {case.name.partition("[")[0]: case.about for case in CASES}
PLAIN = ValidCase(name="a/b", file="a/b.yaml", sizes=Sizes(2, 3, 4, 5))


def test_there_are_many():
    assert len(FILES) == len(find(ROOT / "cases")) >= 60
    assert {file.partition("/")[0] for file in FILES} >= {"basic", "edge", "cells", "truncation", "tutorials"}


def test_each_file_says_what_it_is_for_and_no_two_the_same():
    for file, about in FILES.items():
        assert re.fullmatch(r"[^|\n]+\.", about), file
        assert list(FILES.values()).count(about) == 1, f"another file has the reason of {file}"


def test_the_page_tells_of_every_file_and_no_other():
    assert {file: row[1] for file, row in ROWS.items()} == FILES, "`make library` writes the page anew"


def test_the_page_has_the_sizes_of_each_file_and_why_it_is_here():
    for file in FILES:
        cases = [case for case in CASES if case.name.partition("[")[0] == file]
        _, _, sizes, count, why = ROWS[file]
        assert (sizes, int(count)) == (sizes_of(cases), len(cases)), file
        assert len(why.removesuffix(" |")) > 8, file


def test_simple_is_what_says_little():
    assert features(PLAIN) == 0
    assert features(replace(PLAIN, dtype="float32", about="x", inputs="ones")) == 0
    assert features(replace(PLAIN, activation="relu", layers=2)) == 2
    assert features(replace(PLAIN, loss=Loss("dot", (1,), "mean"))) == 3
    assert features(replace(PLAIN, cell="gru")) == features(replace(PLAIN, cell="gru", reset="before")) == 3
    assert features(replace(PLAIN, weights={"from": "torch"})) == 1


def test_the_branches_of_a_case():
    assert of_recursion(PLAIN) == ["tanh"]
    assert of_recursion(replace(PLAIN, activation="relu", bidirectional=True)) == [
        "relu",
        "bidirectional",
        "relu, bidirectional",
    ]
    gru, window, lengths = "gru, reset after", "truncated by window", "unequal lengths"
    cut = replace(PLAIN, cell="gru", truncation={"kind": "window", "steps": 1}, lengths=(3, 2))
    assert of_recursion(cut) == [
        gru,
        window,
        lengths,
        f"{gru}, {window}",
        f"{gru}, {lengths}",
        f"{window} and {lengths}",
    ]
    assert of_loss(PLAIN) == ["squared_error, sum"]
    assert of_loss(replace(PLAIN, loss=Loss("dot", (1,), "mean"))) == ["dot, mean, some steps"]


def found(case, order, *faults, steps=1.0, branch="tanh"):
    caught = {(fault, "") for fault in faults} | {(fault, branch) for fault in faults}
    return Findings(case, order, frozenset(caught), {"most steps": steps})


FOUND = [
    found("b/many[x=1]", (1, 50), "common", "rare", steps=9.0),
    found("a/simple", (0, 900), "common"),
    found("b/many[x=2]", (1, 60), "rare"),
    found("c/twin", (1, 20), "rare", "common"),
    found("d/relu", (2, 1), "common", branch="relu"),
]


def test_a_fault_belongs_to_the_simplest_case_that_catches_it():
    first = firsts(FOUND)
    assert first["common", ""] == first["common", "tanh"] == "a/simple"
    assert first["rare", ""] == first["rare", "tanh"] == "c/twin"
    assert first["common", "relu"] == "d/relu"
    assert "b/many" not in first.values()


def test_the_furthest_is_one_file():
    assert furthest(FOUND) == {"b/many": ["most steps (9)"]}
    assert furthest([*FOUND, found("e/long", (3, 1), steps=9.0)]) == {}


def test_why_a_file_is_there():
    first, far = firsts(FOUND), furthest(FOUND)
    assert reason("c/twin", [PLAIN], first, {"c/twin": ["most steps (9)"]}) == "rare; most steps (9)"
    assert reason("b/many", [PLAIN], first, far) == "most steps (9)"
    assert reason("d/relu", [PLAIN], first, far) == "*relu:* common"
    assert reason("e/other", [PLAIN], first, far) == ""
    native = replace(PLAIN, weights={"from": "tf1"})
    assert reason("e/other", [native], first, far) == "holds the weights that tf1 give themselves"
    known = replace(PLAIN, expect="mismatch", because="…", implementations=("keras",))
    assert reason("e/other", [known], first, far) == "documents a disagreement of keras"
    known = replace(known, implementations=("keras", "torch-clamp"))
    assert reason("e/other", [known], first, far) == "documents a disagreement of torch-clamp"
