"""Case files as text: YAML in, plain data with positions out."""

from harness.casefile.document import Document, parse
from harness.casefile.mistakes import Mistake, MistakesFound, Path, dotted, listed, nearest
from harness.casefile.odd import ODD_IN_A_NAME, visible
from harness.casefile.reading import content

__all__ = [
    "ODD_IN_A_NAME",
    "Document",
    "Mistake",
    "MistakesFound",
    "Path",
    "content",
    "dotted",
    "listed",
    "nearest",
    "parse",
    "visible",
]
