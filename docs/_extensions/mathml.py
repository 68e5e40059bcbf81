r"""Equations as MathML, which browsers show by themselves: no script, no fonts, nothing fetched from anywhere.

docutils converts them when the site is made. Sphinx's own renderers need MathJax from a server, KaTeX with Node.js, or
LaTeX. What docutils does not know (``align``, ``\tag``, ``\texttt``) is a warning here, and so an error in
``make docs``; ``aligned`` within ``$$`` is what GitHub shows as well.
"""

from __future__ import annotations

import html
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.writers.html5 import HTML5Translator

logger = getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer ``html_math_renderer = "mathml"`` to Sphinx."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def _visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    # The block scrolls by itself on a narrow screen.
    translator.body.append(f'<div class="equation">{_mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(node: nodes.math | nodes.math_block, as_block: bool) -> str:
    tex = node.astext().strip()
    try:
        return str(tex2mathml(tex, as_block=as_block))
    except MathError as error:
        logger.warning("docutils cannot show %r: %s", tex, error, location=node)
        return f"<code>{html.escape(tex)}</code>"
