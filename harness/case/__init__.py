"""A case: one recurrent problem to check, as its file defines it."""

from harness.case.fields import Fields, Loss, Sizes, ValidCase
from harness.case.loading import CaseFile, Loaded, find, load, read, root_of
from harness.case.published import half_units

__all__ = [
    "CaseFile",
    "Fields",
    "Loaded",
    "Loss",
    "Sizes",
    "ValidCase",
    "find",
    "half_units",
    "load",
    "read",
    "root_of",
]
