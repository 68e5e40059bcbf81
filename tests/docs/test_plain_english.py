"""Every text that a person reads keeps to the countable part of plain English."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.plain_english import Text, mistakes, of_file, of_markdown, of_python

READ = ("harness", "reference_impls", "benchmarks", "tests", "docs", "README.md", "CONTRIBUTING.md")
"""Folders and files with texts that a person reads."""


def _files(places: tuple[str, ...]) -> list[Path]:
    files = [
        file for place in places for file in ([ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*"))
    ]
    return sorted(file for file in files if file.suffix in (".py", ".md") and "_build" not in file.parts)


def test_every_text_is_plain_english():
    found = []
    for file in _files(READ):
        name = file.relative_to(ROOT).as_posix()
        found += mistakes(name, of_file(file, docstrings_only=name.startswith("tests/")))
    assert not found, "\n" + "\n".join(str(mistake) for mistake in found)


@pytest.mark.parametrize("place", READ)
def test_every_place_has_texts(place: str):
    assert any(of_file(file, docstrings_only=False) for file in _files((place,)))


LONG = "The word " + "and the word " * 13 + "end."
SHORT = "The word " + "and the word " * 12 + "end."


@pytest.mark.parametrize(
    ("source", "line", "rule"),
    [
        ('"""Of which cases to keep the tensors."""', 1, 'opens with "Of"'),
        ('def f():\n    """What the numbers say the fault is."""', 2, 'opens with "What"'),
        ('class A:\n    """Whether it is so."""', 2, 'opens with "Whether"'),
        ('A = 1\n"""How far it is off."""', 2, 'opens with "How"'),
        ('"""Who is wrong."""', 1, 'opens with "Who"'),
        ('"""Whose file it is."""', 1, 'opens with "Whose"'),
        ('"""Where it is."""', 1, 'opens with "Where"'),
        ('"""When it ends."""', 1, 'opens with "When"'),
        ('"""Letters of a mistake that are told."""', 1, '"told" in a docstring'),
        ("A = 1  # the files tell it", 1, '"tell" in a comment'),
        ('raise ValueError(f"{name} tells nothing")', 1, '"tells" in a message'),
        ('"""Find a run that is to be gone on\nwith."""', 1, '"gone on with" in a docstring'),
        ('"""A factor that the loss has not, as of another reduction."""', 1, '"as of" in a docstring'),
        ("# Nobody asks.", 1, '"Nobody" in a comment'),
        (f'"""{LONG}"""', 1, "a sentence of 42 words"),
        (f"A = 1\n# It is so.\n# {LONG}", 2, "a sentence of 42 words"),
        (f'raise ValueError("{LONG}")', 1, "a sentence of 42 words"),
        (f'"""Return it.\n\n    Args:\n        name: {LONG[4:]}\n    """', 1, "a sentence of 42 words"),
    ],
)
def test_a_wrong_python_text_is_found(source: str, line: int, rule: str):
    (found,) = mistakes("benchmarks/module.py", of_python(source))
    assert found.where == f"benchmarks/module.py:{line}"
    assert rule in found.rule


@pytest.mark.parametrize(
    ("page", "line", "rule"),
    [
        ("# Title\n\nThe report tells it.\n", 3, '"tells" in a prose'),
        ("```sh\nls\n```\nThe run to be gone on with.\n", 4, '"gone on with"'),
        (f"Short.\n\n- one\n- {LONG}\n", 4, "a sentence of 42 words"),
        (f"| a | b |\n| --- | --- |\n| c | {LONG} |\n", 3, "a sentence of 42 words"),
    ],
)
def test_a_wrong_page_is_found(page: str, line: int, rule: str):
    (found,) = mistakes("docs/page.md", of_markdown(page))
    assert found.where == f"docs/page.md:{line}"
    assert rule in found.rule


@pytest.mark.parametrize(
    "source",
    [
        '"""Return whether it is known.\n"""',
        f'"""{SHORT}"""',
        f'"""{SHORT} {SHORT}"""',
        f'"""Return it.\n\n    Args:\n        a: {SHORT[4:-1]}\n        b: {SHORT[4:]}\n    """',
        f"# {SHORT}\n# {SHORT}",
        f'"""{SHORT[:-1]}:\n\n- {SHORT[:-1]}\n- {SHORT}\n"""',
        '"""Return the class `Told`."""',
        'A = {"told": "tell"}',
    ],
)
def test_a_right_python_text_is_left_alone(source: str):
    assert not mistakes("harness/module.py", of_python(source))


@pytest.mark.parametrize(
    "page",
    [
        f"```console\n$ harness run\nnobody told {LONG}\n```\n",
        f"| {SHORT[:-1]} | {SHORT} |\n| {SHORT} | `told` |\n",
        f"| faults |\n| --- |\n| {SHORT[:-1]}, {SHORT[:-1]}; {SHORT} |\n",
        f"$$\n{LONG}\n$$\n",
        f"<!-- quoted: nobody.py -->\n\n{SHORT}\n{SHORT}\n",
    ],
)
def test_a_right_page_is_left_alone(page: str):
    assert not mistakes("docs/page.md", of_markdown(page))


def test_who_is_for_people_in_tests_and_pages():
    texts = [Text(1, "docstring", "Ask the people who use it.")]
    assert mistakes("harness/module.py", texts)
    assert not mistakes("tests/module.py", texts)
