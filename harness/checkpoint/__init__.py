"""Weights in the files of frameworks: the recurrent layers of a file, and their numbers. No framework is imported.

Each format is one file in ``formats``, which lists the tensors of a file. Each way to name the tensors of recurrent
layers is one file in ``naming``. Reading runs no code of the file's: it
reads torch's pickle opcode by opcode, TensorFlow's index as a table, and Keras' HDF5 without links or external data.
"""

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
