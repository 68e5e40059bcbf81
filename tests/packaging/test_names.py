"""Rules of names and signatures: one class for each noun, and functions of few parameters."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "reference_impls")
MOST_PARAMETERS = 6
COMMANDS = "harness/cli/"
"""A command has a parameter for each of its options."""


def sources() -> dict[str, ast.Module]:
    """Return the modules of the project by path."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def classes(modules: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Return the place of every class by its name."""
    found = defaultdict(list)
    for file, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{file}:{node.lineno}")
    return found


def with_many_parameters(module: ast.Module) -> list[str]:
    """Return the functions that take more parameters than they may, without self and cls, which no caller writes."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            given = node.args
            names = [each.arg for each in (*given.posonlyargs, *given.args)]
            names = names[1:] if names[:1] in (["self"], ["cls"]) else names
            names += [each.arg for each in (given.vararg, *given.kwonlyargs, given.kwarg) if each is not None]
            if len(names) > MOST_PARAMETERS:
                found.append(f"{node.lineno} {getattr(node, 'name', 'lambda')}: {len(names)}")
    return found


def test_there_are_files_to_read():
    assert len(sources()) > 400


def test_each_class_has_a_name_of_its_own():
    assert {name: places for name, places in classes(sources()).items() if len(places) > 1} == {}


def test_no_function_takes_more_than_six_parameters():
    found = {file: with_many_parameters(module) for file, module in sources().items() if not file.startswith(COMMANDS)}
    assert {file: there for file, there in found.items() if there} == {}


def test_two_classes_of_one_name_are_found():
    modules = {
        "a.py": ast.parse("class Case: ...\ndef f():\n    class Part: ..."),
        "b.py": ast.parse("class Part: ..."),
    }
    assert classes(modules)["Part"] == ["a.py:3", "b.py:1"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(a, b, c, d, e, f): ...", []),
        ("def f(a, b, c, d, e, f, g): ...", ["1 f: 7"]),
        ("def f(a, b, /, c, *d, e, f, **g): ...", ["1 f: 7"]),
        ("class C:\n    def f(self, a, b, c, d, e, f): ...", []),
        ("class C:\n    async def f(cls, a, b, c, d, e, *, f, g): ...", ["2 f: 7"]),
        ("def f():\n    return lambda a, b, c, d, e, f, g: 0", ["2 lambda: 7"]),
    ],
)
def test_parameters_are_counted(source, found):
    assert with_many_parameters(ast.parse(source)) == found
