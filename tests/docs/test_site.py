"""The site of a small repository, made as this one's is: equations, links out of the folder, and what is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytest.importorskip("sphinx", reason="the extra docs is not installed; make docs does that")

EQUATIONS = r"""
# Equations

The pre-activation $a_t$ is

$$
\begin{aligned}
a_t &= x_t W_{xh} + h_{t-1} W_{hh} + b_h \\
\delta_t &= dh_t \odot (1 - h_t \odot h_t)
\end{aligned}
$$

## The end
"""
LINKS = """
# Links

[code](../../code/layer.py), [a folder](../../code), [the rules](../../CONTRIBUTING.md#rules),
[the end](equations.md#the-end).
"""
WRONG = r"""
# Wrong

Neither $\nosuchcommand$ nor [this file](../../code/layers.py) is there.
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The site, which is made as far as it goes, and how that went."""
    root = tmp_path_factory.mktemp("repository")
    pages = root / "docs" / "pages"
    pages.mkdir(parents=True)
    (root / "code").mkdir()
    (root / "code" / "layer.py").write_text("B = 2\nT = 3 < 4\n")
    (root / "CONTRIBUTING.md").write_text("# Contributing\n")
    (pages.parent / "index.md").write_text("# Home\n\n```{toctree}\n:glob:\n\npages/*\nnone/*\n```\n")
    (pages.parent / "contributing.md").write_text("---\norphan: true\n---\n\n# Contributing\n")
    for name, text in {"equations": EQUATIONS, "links": LINKS, "wrong": WRONG}.items():
        (pages / f"{name}.md").write_text(text)
    options = ["--fail-on-warning", "--keep-going", "--quiet", "--conf-dir", str(ROOT / "docs")]
    command = [sys.executable, "-m", "sphinx", *options, str(pages.parent), str(root / "site")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    return root / "site", done


def test_what_cannot_be_shown_or_found_is_an_error_with_its_place(site):
    _, done = site
    assert done.returncode == 1
    equation, link = sorted(line for line in done.stderr.splitlines() if "WARNING" in line)
    if "layers.py" in equation:
        equation, link = link, equation
    assert re.search(r"pages/wrong\.md:4: WARNING: docutils cannot show .*nosuchcommand", equation)
    assert re.search(r"pages/wrong\.md:4: WARNING: .*code/layers\.py", link)


def test_equations_are_mathml(site):
    equations = (site[0] / "pages" / "equations.html").read_text()
    assert equations.count("<math") == 2
    assert equations.count('display="block"') == 1


def test_links_to_the_repository_lead_to_pages_of_its_files(site):
    links = (site[0] / "pages" / "links.html").read_text()
    assert re.findall(r'href="(\.\./(?:source|contrib)[^"]*)"', links) == [
        "../source/code/layer.py.html",
        "../contributing.html#rules",
    ]
    assert 'href="equations.html#the-end"' in links
    assert "a folder" in links
    assert not re.search(r"<a[^>]*>(<[^>]*>)*a folder", links)
    source = (site[0] / "source" / "code" / "layer.py.html").read_text()
    assert "&lt;" in source
    assert "layer.py" in source


def test_a_page_fetches_nothing(site):
    pages = list(site[0].rglob("*.html"))
    assert pages
    for page in pages:
        assert not re.search(r'<(script|img|link|iframe)[^>]*(src|href)="(https?:)?//', page.read_text()), page
