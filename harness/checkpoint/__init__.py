"""Weights in the files of frameworks: which recurrent layers there are, and their numbers. No framework is imported.

A format is one file in ``formats``: what tensors a file has. How a framework names those of its recurrent layers is
one file in ``naming``. Reading runs no code of the file's, whatever is in it.
"""

from harness.checkpoint.base import CheckpointRefused, Format, Part, Stored
from harness.checkpoint.cells import Cell, Stated, contradictions
from harness.checkpoint.finding import Recurrent, find, opened
from harness.checkpoint.formats import format_of

__all__ = [
    "Cell",
    "CheckpointRefused",
    "Format",
    "Part",
    "Recurrent",
    "Stated",
    "Stored",
    "contradictions",
    "find",
    "format_of",
    "opened",
]
