"""A case: one recurrent problem to check, as its file says it."""

from harness.case.fields import Case, Fields, Loss, Sizes
from harness.case.loading import CaseFile, Loaded, find, load, read, root_of

__all__ = ["Case", "CaseFile", "Fields", "Loaded", "Loss", "Sizes", "find", "load", "read", "root_of"]
