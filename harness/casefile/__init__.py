"""Case files as text: YAML in, plain data with positions out."""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
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

__getattr__ = by_module(
    __name__,
    {
        "document": (
            "Document",
            "parse",
        ),
        "mistakes": (
            "Mistake",
            "MistakesFound",
            "Path",
            "dotted",
            "listed",
            "nearest",
        ),
        "odd": (
            "ODD_IN_A_NAME",
            "visible",
        ),
        "reading": ("content",),
    },
)
