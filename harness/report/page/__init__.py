"""Pages that are one file each, readable offline: a template, its styles and its script, which alone the page may run.

``base.css`` and ``banner.html.j2`` are for every page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any


def rendered(template: str, *, styles: Sequence[str] = ("base.css",), script: str = "", **values: Any) -> str:
    """Return a page.

    Args:
        template: The name of the template in this folder. Its content security policy names ``style_hash`` and
            ``script_hash``, which hold back every other style and script.
        styles: The names of the style sheets in this folder, in their order.
        script: The name of the script in this folder; empty for none.
        values: The values of the template's variables; every text among them is escaped.
    """
    from jinja2 import Environment, FunctionLoader
    from markupsafe import Markup

    sources = files(__name__)

    def read(name: str) -> str:
        return sources.joinpath(name).read_text(encoding="utf-8")

    style, code = "".join(map(read, styles)), read(script) if script else ""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(read))
    return environment.get_template(template).render(
        style=Markup(style), script=Markup(code), style_hash=_hash(style), script_hash=_hash(code), **values
    )


def _hash(source: str) -> str:
    """Return the name of a style or a script in a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
