"""Links from a page to a file of the repository lead, on the site, to a page that shows this file.

On GitHub ``[tanh](../cases/basic/tanh.yaml)`` opens the file. Sphinx would offer it as a download, and does not know
Markdown outside of its folder at all. A link to a folder is its text alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.environment import BuildEnvironment

PAGES = {"CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing", "README.md": "index"}
"""Markdown beside this folder, and the page that stands for it."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Follow links out of the folder, and write a page for each file that they lead to."""
    app.connect("doctree-read", _redirect)
    app.connect("env-purge-doc", _forget)
    app.connect("html-collect-pages", _source_pages)
    # Parallel readers would each have their own list of files.
    return {"parallel_read_safe": False, "parallel_write_safe": True}


def _redirect(app: Sphinx, doctree: nodes.document) -> None:
    here, root = Path(app.srcdir), Path(app.srcdir).parent
    links = (*doctree.findall(addnodes.pending_xref), *doctree.findall(addnodes.download_reference))
    for node in links:
        if node.get("reftype") != "myst":
            continue
        path, _, fragment = node["reftarget"].partition("#")
        fragment = fragment or str(node.get("reftargetid") or "")
        # Of Markdown beside the folder, MyST has made the name of a page that is not there.
        path += ".md" if node.get("refdomain") == "doc" and Path(path).is_absolute() else ""
        target = Path(os.path.normpath(Path(app.env.doc2path(app.env.docname)).parent / path))
        if not path or target.is_relative_to(here) or not target.is_relative_to(root) or not target.exists():
            continue
        name = target.relative_to(root).as_posix()
        if name in PAGES:
            uri = f"{PAGES[name]}.html" + (f"#{fragment}" if fragment else "")
        elif target.is_file():
            _linked(app.env).setdefault(app.env.docname, set()).add(name)
            uri = f"{_page(name)}.html"
        else:
            node.replace_self(node.children)
            continue
        up = os.path.relpath(".", PurePosixPath(app.env.docname).parent)
        link = nodes.reference("", "", *node.children, refuri=(PurePosixPath(up) / uri).as_posix(), internal=True)
        node.replace_self(link)


def _linked(env: BuildEnvironment) -> dict[str, set[str]]:
    """The files that each page links to, kept with what Sphinx knows of the pages."""
    if not hasattr(env, "repository_files"):
        env.repository_files = {}  # type: ignore[attr-defined]
    return env.repository_files  # type: ignore[attr-defined, no-any-return]


def _forget(app: Sphinx, env: BuildEnvironment, page: str) -> None:
    del app
    _linked(env).pop(page, None)


def _page(name: str) -> str:
    return f"source/{name}"


def _source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    builder = app.builder
    assert isinstance(builder, StandaloneHTMLBuilder)
    for name in sorted(set().union(*_linked(app.env).values())):
        text = (Path(app.srcdir).parent / name).read_text(encoding="utf-8")
        try:
            language = get_lexer_for_filename(name).aliases[0]
        except ClassNotFound:
            language = "text"
        shown = builder.highlighter.highlight_block(text, language)
        body = f'<h1 class="source"><code>{name}</code></h1><div class="highlight-{language}">{shown}</div>'
        yield _page(name), {"title": name, "body": body, "parents": []}, "page.html"
