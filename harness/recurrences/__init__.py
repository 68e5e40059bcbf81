"""The library of recurrences: one function of one step each. A new one is one new file here.

A package offers its own through the entry point group ``harness.recurrences``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from harness.recurrences.base import DECLARED, DeclarationError, Recurrence, Step, recurrence

__all__ = ["DeclarationError", "Recurrence", "Step", "recurrence", "recurrence_named", "recurrences"]

ENTRY_POINTS = "harness.recurrences"


@cache
def recurrences() -> dict[str, Recurrence]:
    """Return every recurrence by name: first those of this package's modules, then those of other packages.

    Raises:
        DeclarationError: if two have one name.
    """
    from importlib.metadata import entry_points

    found: dict[str, Recurrence] = {}
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    offered = [each for module in modules for each in vars(module).values() if isinstance(each, Recurrence)]
    for each in [*offered, *(entry.load() for entry in entry_points(group=ENTRY_POINTS))]:
        if each.name in found and found[each.name] is not each:
            raise DeclarationError(
                f"two recurrences are called {each.name!r}: in {found[each.name].file} and {each.file}"
            )
        found[each.name] = each
    return found


def recurrence_named(name: str) -> Recurrence | None:
    """Return a recurrence of the library, or one that this process declared; None if none has this name."""
    return recurrences().get(name) or DECLARED.get(name)
