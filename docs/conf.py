"""The documentation site: `make docs` builds it from the pages in this folder, which read as well where they stand."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]

project = "bptt-harness"
author = "the authors of bptt-harness"
project_copyright = author
release = installed("bptt-harness")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "mathml",
    "repository_links",
]
exclude_patterns = ["_build", "_extensions", "**/.ipynb_checkpoints"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # the site has no pages for the types in signatures

# The Python interface is made from the docstrings, in the order of the source.
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Markdown as GitHub reads it, with its mathematics and its anchors of headings.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# A notebook shows what this version prints, or the site is not made.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

html_theme = "furo"
html_title = "bptt-harness"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None  # the same sources make the same site

# What is copied from an example with its output is what is typed.
copybutton_prompt_text = "$ "
copybutton_copy_empty_lines = False
copybutton_line_continuation_character = "\\"


def setup(app: Sphinx) -> None:
    """Let a folder of pages that is not there be none; Sphinx's warning of that has no type by which to suppress it."""
    del app
    directives = logging.getLogger("sphinx.sphinx.directives.other")
    directives.addFilter(lambda record: "didn't match any documents" not in str(record.msg))
