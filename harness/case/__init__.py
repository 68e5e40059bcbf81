"""A case: one recurrent problem to check, as its file defines it."""

from typing import TYPE_CHECKING

from harness.case.library import library  # a name that is also a module's cannot wait for its first use
from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.case.fields import Fields, Loss, Sizes, ValidCase
    from harness.case.loading import CaseFile, Loaded, find, load, read, root_of, typed
    from harness.case.published import half_units

__all__ = ["CaseFile", "Fields", "Loaded", "Loss", "Sizes", "ValidCase"]
__all__ += ["find", "half_units", "library", "load", "read", "root_of", "typed"]

__getattr__ = by_module(
    __name__,
    {
        "fields": ("Fields", "Loss", "Sizes", "ValidCase"),
        "loading": ("CaseFile", "Loaded", "find", "load", "read", "root_of", "typed"),
        "published": ("half_units",),
    },
)
