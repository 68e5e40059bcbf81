"""A case: one recurrent problem to check, as its file defines it."""

from harness.case.fields import Fields, Loss, Sizes, ValidCase
from harness.case.library import library
from harness.case.loading import CaseFile, Loaded, find, load, read, root_of, typed
from harness.case.published import half_units

__all__ = ["CaseFile", "Fields", "Loaded", "Loss", "Sizes", "ValidCase"]
__all__ += ["find", "half_units", "library", "load", "read", "root_of", "typed"]
