"""A result: the answer of one implementation to one problem, as NumPy arrays in canonical tensors."""

from harness.result.answer import Answer
from harness.result.remark import Remark
from harness.result.result import MOST_UNKNOWN, Result, Taken, checked, read, run, taken, values_of
from harness.result.returned import NotReadable

__all__ = [
    "MOST_UNKNOWN",
    "Answer",
    "NotReadable",
    "Remark",
    "Result",
    "Taken",
    "checked",
    "read",
    "run",
    "taken",
    "values_of",
]
