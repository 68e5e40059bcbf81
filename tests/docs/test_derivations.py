"""The pages that derive the gradients show the code that they mean, and name faults that there are."""

import ast
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.diagnosis.faults import faults

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DERIVATIONS = sorted((DOCS / "bptt").glob("*.md"))
FAULT = re.compile(r"\[`([a-z0-9-]+)`\]\(([^)#]*faults/[^)#]*)#?([^)]*)\)")
SHOWING = re.compile(rf"^```\{{literalinclude\}}|{FAULT.pattern}", re.M)
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if SHOWING.search(page.read_text())]


class Include(NamedTuple):
    """A literalinclude: what a page shows of a file."""

    page: Path
    file: Path
    options: dict[str, str]

    def code(self) -> str:
        """Return what is shown; each text that marks a border must be there once, so that it marks one place alone."""
        source = self.file.read_text(encoding="utf-8")
        if "pyobject" in self.options:
            source = of_object(source, self.options["pyobject"])
        lines = source.splitlines()
        if "start-at" in self.options:
            lines = lines[the_one_line(lines, self.options["start-at"]) :]
        if "end-at" in self.options:
            lines = lines[: the_one_line(lines, self.options["end-at"]) + 1]
        return "\n".join(lines)


def of_object(source: str, name: str) -> str:
    named = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
    ]
    assert len(named) == 1, f"{len(named)} objects are called {name}"
    return "\n".join(source.splitlines()[named[0].lineno - 1 : named[0].end_lineno])


def the_one_line(lines: list[str], text: str) -> int:
    found = [number for number, line in enumerate(lines) if text in line]
    assert len(found) == 1, f"{len(found)} lines have {text!r}"
    return found[0]


def includes_of(page: Path) -> list[Include]:
    found = []
    for file, options in re.findall(r"^```\{literalinclude\} (\S+)\n(.*?)^```$", page.read_text(), re.M | re.S):
        pairs = dict(re.findall(r"^:([a-z-]+): (.*)$", options, re.M))
        assert len(pairs) == len(options.splitlines()), f"{page.name}: {options}"
        found.append(Include(page, page.parent / file, {key: text.strip("\"'") for key, text in pairs.items()}))
    return found


def named(includes: list[Include]) -> list:
    shown = [(each, each.options.get("pyobject", each.file.suffix)) for each in includes if each.file.suffix == ".py"]
    return [pytest.param(each, id=f"{each.page.stem}: {each.file.stem}.{name}") for each, name in shown]


def test_there_are_pages_to_look_at():
    assert {page.stem for page in DERIVATIONS} >= {"rnn", "multilayer", "truncated", "lstm", "gru", "bidirectional"}
    assert set(DERIVATIONS) <= set(PAGES)


@pytest.mark.parametrize("page", DERIVATIONS, ids=lambda page: page.stem)
def test_each_derivation_shows_the_code_and_runs_the_equations(page):
    assert includes_of(page)
    assert "\n```python\n" in page.read_text()


@pytest.mark.parametrize("include", named([each for page in PAGES for each in includes_of(page)]))
def test_what_is_included_is_there_and_is_whole(include):
    # Numbers of lines rot in silence; the other borders are not looked for here.
    assert not set(include.options) & {"lines", "start-after", "end-before"}
    shown = include.code()
    # Half a loop or half an expression does not parse; what stands in a function may return.
    ast.parse(f"def shown():\n{textwrap.indent(textwrap.dedent(shown), '    ')}")
    assert int(include.options.get("dedent", 0)) == len(shown) - len(shown.lstrip(" "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_fault_is_in_the_catalogue_and_where_the_link_says(page):
    for name, link, heading in FAULT.findall(page.read_text()):
        assert name in faults(), f"{page.name} names {name}"
        target = (page.parent / link).resolve()
        if target.suffix == ".py":
            module = ROOT.joinpath(*faults()[name].__module__.split(".")).with_suffix(".py")
            assert target == module, f"{page.name}: {name} is in {module.name}"
        else:
            assert heading == name, f"{page.name}: {name} leads to {heading}"
            assert f"\n## {name}\n" in target.read_text(), f"{page.name}: {target.name} has no {name}"


@pytest.mark.parametrize("page", DERIVATIONS, ids=lambda page: page.stem)
def test_a_fault_that_is_named_is_linked(page):
    linked = {name for name, *_ in FAULT.findall(page.read_text())}
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    assert {name for name in re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", prose) if name in faults()} <= linked
