"""A case: one recurrent problem to check, as its file defines it."""

from harness.case.fields import Case, Fields, Loss, Sizes
from harness.case.loading import CaseFile, Loaded, find, load, read, root_of
from harness.case.published import half_units

__all__ = ["Case", "CaseFile", "Fields", "Loaded", "Loss", "Sizes", "find", "half_units", "load", "read", "root_of"]
