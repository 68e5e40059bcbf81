"""Which tests a mutant runs through: all that reach it, none that does not, and first what killed its like."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from benchmarks.mutation.mutants import mutants
from benchmarks.mutation.order import Order
from benchmarks.mutation.reach import LinesReached, reach_of
from benchmarks.mutation.tried import tried_before, try_all

SOURCE = """\
from functools import cache

LIMIT = 7


@cache
def found(
    number: int,
    by: int = 2,
) -> int:
    if number > 40:
        return (
            number
            - 41
        )
    for each in range(3):
        number += each
    return number


def made() -> int:
    return 99


WIDTH = made()
"""
TESTS = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import mutated

def test_small():
    assert mutated.found(1) == 4

def test_small_again():
    assert mutated.found(1) == 4

def test_large():
    assert mutated.found(50) == 9

def test_constants():
    assert mutated.LIMIT + mutated.WIDTH == 106
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "mutated.py").write_text(SOURCE)
    (tmp_path / "test_mutated.py").write_text(TESTS)
    return tmp_path


def mutant(root, before, after):
    (found,) = [
        each for each in mutants(root / "mutated.py", "mutated.py") if (each.before, each.after) == (before, after)
    ]
    return found


@pytest.mark.parametrize(
    ("before", "after", "statement", "around"),
    [
        ("7", "8", (3, 3), (1, 3)),
        ("2", "3", (6, 18), (6, 18)),
        ("40", "41", (11, 11), (6, 18)),
        ("41", "42", (12, 15), (6, 18)),
        ("3", "4", (16, 16), (6, 18)),
        ("number += each", "number -= each", (17, 17), (6, 18)),
    ],
    ids=["constant", "default", "head of an if", "line within a statement", "head of a loop", "in a loop"],
)
def test_a_mutant_knows_its_statement_and_its_function(root, before, after, statement, around):
    found = mutant(root, before, after)
    assert (found.statement, found.around) == (statement, around)


def everything_tried(root, out):
    """Trace the tests and try all mutants; for a process of its own, in which nothing of ours is imported."""
    reached = reach_of(root, "test_mutated.py", ["mutated.py"], root / "traces")
    assert reached == reach_of(root, "test_mutated.py", ["mutated.py"], root / "traces")
    return reached, try_all(root, "mutated.py", list(mutants(root / "mutated.py", "mutated.py")), reached, 5.0, out)


def test_all_mutants_of_a_module(root):
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        reached, tried = pool.submit(everything_tried, root, root / "out.jsonl").result(120)
    lines = {each.test.partition("::")[2]: each.lines for each in reached}
    assert lines == {
        "test_small": {"mutated.py": [11, 16, 17, 18]},
        "test_small_again": {"mutated.py": [11, 16, 17, 18]},
        "test_large": {"mutated.py": [11, 12, 13, 14]},
        "test_constants": {},
    }
    by = {(each.before, each.after): each.by.partition("::")[2] for each in tried if not each.survived}
    assert by["7", "8"] == by["99", "100"] == by["WIDTH = made()", "WIDTH = None"] == "test_constants"
    assert by["41", "42"] == "test_large"
    assert by["number += each", "number -= each"] in ("test_small", "test_small_again")
    assert {(each.before, each.after) for each in tried if each.survived} == {
        ("2", "3"),
        ("> 40", ">= 40"),
        ("40", "41"),
    }
    assert list(tried_before(root / "out.jsonl")) == tried


ORDER = [
    LinesReached("a.py::short[1]", 0.1, {"m.py": [11]}),
    LinesReached("a.py::short[2]", 0.2, {"m.py": [11, 17]}),
    LinesReached("a.py::long", 3.0, {"m.py": [11, 17]}),
    LinesReached("b.py::longer", 4.0, {"m.py": [17]}),
    LinesReached("b.py::elsewhere", 0.1, {"n.py": [11, 17]}),
]


def order_of(budget, root, before, after, killers=()):
    found = mutant(root, before, after)
    order = Order("m.py", ORDER, budget)
    for test in killers:
        order.killed(found, test)
    return [test.partition("::")[2] for test in order.of(found)]


def test_something_of_each_test_comes_first(root):
    assert order_of(10.0, root, "40", "41") == ["short[1]", "long", "short[2]"]
    assert order_of(10.0, root, "number += each", "number -= each") == ["long", "longer", "short[2]"]


def test_what_killed_the_last_mutant_of_a_function_is_tried_first_on_the_next(root):
    killers = ["a.py::long", "b.py::longer", "a.py::short[2]"]
    assert order_of(10.0, root, "number += each", "number -= each", killers) == ["short[2]", "longer", "long"]
    assert order_of(10.0, root, "40", "41", killers) == ["short[2]", "long", "short[1]"]


def test_what_does_not_fit_into_the_budget_is_left_out(root):
    assert order_of(0.4, root, "40", "41") == ["short[1]", "short[2]"]
    assert order_of(0.0, root, "40", "41") == ["short[1]"]


def test_what_an_interrupted_call_wrote_in_part_is_not_read(tmp_path):
    whole = {"path": "m.py", "line": 1, "function": "f", "before": "1", "after": "2", "nth": 1}
    whole |= {"verdict": "killed", "by": "t", "seconds": 0.1}
    (tmp_path / "out.jsonl").write_text(json.dumps(whole) + "\n" + json.dumps(whole)[:40])
    (read,) = tried_before(tmp_path / "out.jsonl")
    assert read.name == "m.py f: 1 -> 2"
