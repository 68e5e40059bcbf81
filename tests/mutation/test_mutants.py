"""Mutation testing itself: which mutants are made of a module, and that a mutant is in force wherever it is called."""

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from benchmarks.mutation import targets
from benchmarks.mutation.exchange import exchange, spoil
from benchmarks.mutation.forks import in_a_fork, within_seconds_of_work
from benchmarks.mutation.mutants import mutants

# JAX warns at each fork once a test of the same process has imported it; these forks do not use it.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")

SOURCE = '''\
from __future__ import annotations

from functools import cache

Alias = dict[str, int]
__all__ = ["LIMIT", "Base", "Derived", "twice", "kept"]
LIMIT = 3


class Base:
    def value(self) -> int:
        return 5

    @property
    def half(self) -> int:
        return self.value() // 2


class Derived(Base):
    def value(self) -> int:
        found = super().value()
        return found


def twice(number: int, by: int = 2) -> int:
    """Two times 2."""
    return number * by


@cache
def kept() -> int:
    return twice(1)
'''


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "mutated.py"
    file.write_text(SOURCE)
    return file


@pytest.fixture
def module(path, monkeypatch):
    spec = spec_from_file_location("mutated", path)
    found = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mutated", found)
    spec.loader.exec_module(found)
    return found


def changes(path):
    return {(each.function, each.before, each.after) for each in mutants(path, "mutated.py")}


def mutant(path, before, after):
    (found,) = [each for each in mutants(path, "mutated.py") if (each.before, each.after) == (before, after)]
    return found.source


def test_everything_that_runs_is_changed(path):
    assert {
        ("", "3", "4"),
        ("Base.value", "5", "6"),
        ("Base.half", "2", "3"),
        ("Derived.value", "found = super().value()", "found = None"),
        ("twice", "2", "3"),
        ("kept", "1", "2"),
    } <= changes(path)


def test_what_nobody_runs_is_left_alone(path):
    for _, before, _ in changes(path):
        assert not any(word in before for word in ("Alias", "__all__", "import", "@", "Two times", "-> int"))


def test_each_mutant_differs_in_one_place_and_none_is_made_twice(path):
    sources = [each.source for each in mutants(path, "mutated.py")]
    assert len(set(sources)) == len(sources) > 9
    for source in sources:
        different = [
            (one, other) for one, other in zip(SOURCE.splitlines(), source.splitlines(), strict=True) if one != other
        ]
        assert len(different) == 1


def test_a_mutant_is_in_force_under_every_name(path, module):
    twice, half, kept = module.twice, module.Base.half, module.kept
    assert (twice(4), kept(), module.Base().half) == (8, 2, 2)
    exchange(module, mutant(path, "number * by", "number / by"))
    kept.cache_clear()
    assert (twice(4), kept()) == (2, 0.5)
    exchange(module, SOURCE.replace("// 2", "// 5"))
    assert half.__get__(module.Base()) == 1
    assert twice(4) == 8


def test_a_changed_default_is_in_force(path, module):
    exchange(module, SOURCE.replace("by: int = 2", "by: int = 3"))
    assert module.twice(4) == 12


def test_a_method_that_loses_its_super_is_in_force(path, module):
    there = module.Derived()
    assert there.value() == 5
    exchange(module, mutant(path, "found = super().value()", "found = None"))
    assert there.value() is None


@pytest.mark.parametrize("name", ["twice", "kept.__wrapped__", "Base.value", "Derived.value"])
def test_a_function_that_is_taken_away_raises_an_error(module, name):
    found = module
    for part in name.split("."):
        found = getattr(found, part)
    spoil(found)
    arguments = [object()] if "value" in name or name == "twice" else []
    with pytest.raises(RuntimeError, match="taken away"):
        found(*arguments)


@cache
def endless():
    while True:
        pass


@pytest.mark.parametrize(
    ("whole", "verdict"),
    [
        (lambda: ("survived", ""), "survived"),
        (lambda: 1 // 0, "killed"),
        (lambda: sys.exit(0), "killed"),
        (endless, "timeout"),
    ],
    ids=["survives", "raises", "exits", "hangs"],
)
def test_what_became_of_a_fork_is_told(whole, verdict):
    assert in_a_fork(whole, 1.0).verdict == verdict


def test_every_module_has_tests_and_belongs_to_a_part():
    found = targets.modules(())
    assert "harness/precision/tolerance.py" in found
    assert "harness/layout/keras.py" in found
    for path in found:
        assert targets.tests_of(path)
        assert path.startswith(targets.part_of(path))


def test_every_test_that_is_named_is_there():
    for tests in targets.TESTS.values():
        for each in tests:
            assert (targets.ROOT / "tests" / each).is_file()


def test_a_fork_that_computes_too_long_is_a_timeout():
    def whole():
        within_seconds_of_work(0.2)
        endless()

    outcome = in_a_fork(whole, 60.0)
    assert outcome.verdict == "timeout"
    assert outcome.seconds < 30
