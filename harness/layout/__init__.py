"""Weight layouts: the same numbers under each framework's names and shapes. A new layout is one new file here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

from harness.layout.base import Layout
from harness.tensors import RecurrenceStructure, Structure

__all__ = ["Layout", "layout_named", "layouts", "layouts_of"]


@cache
def layouts() -> dict[str, Layout]:
    """Return every layout by name: that of each module of this package that has a ``LAYOUT``."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found: list[Layout] = [module.LAYOUT for module in modules if hasattr(module, "LAYOUT")]
    return {layout.name: layout for layout in found}


@cache
def layout_named(name: str) -> Layout:
    """Return a layout by name; no other is imported.

    Raises:
        KeyError: If there is none.
    """
    if name.isidentifier() and find_spec(f"{__name__}.{name}") is not None:
        found = getattr(import_module(f"{__name__}.{name}"), "LAYOUT", None)
        if isinstance(found, Layout) and found.name == name:
            return found
    return layouts()[name]


def layouts_of(structure: Structure) -> dict[str, Layout]:
    """Return the layouts that a structure has, by name; a recurrence has one, with the step's own names."""
    return {"split": layouts()["split"]} if isinstance(structure, RecurrenceStructure) else layouts()
