"""Weights in the files of frameworks: the recurrent layers of a file, and their numbers. No framework is imported.

Each format is one file in ``formats``, which lists the tensors of a file. Each way to name the tensors of recurrent
layers is one file in ``naming``. Reading runs no code of the file's: it
reads torch's pickle opcode by opcode, TensorFlow's index as a table, and Keras' HDF5 without links or external data.
"""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.checkpoint.base import CheckpointRefused, Format, Stored, TensorFile
    from harness.checkpoint.cells import Cell, Stated, contradictions
    from harness.checkpoint.finding import Recurrent, find, opened
    from harness.checkpoint.formats import format_of

__all__ = [
    "Cell",
    "CheckpointRefused",
    "Format",
    "Recurrent",
    "Stated",
    "Stored",
    "TensorFile",
    "contradictions",
    "find",
    "format_of",
    "opened",
]

__getattr__ = by_module(
    __name__,
    {
        "base": (
            "CheckpointRefused",
            "Format",
            "Stored",
            "TensorFile",
        ),
        "cells": (
            "Cell",
            "Stated",
            "contradictions",
        ),
        "finding": (
            "Recurrent",
            "find",
            "opened",
        ),
        "formats": ("format_of",),
    },
)
