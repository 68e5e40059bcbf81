"""Spellings: ways to write recurrent networks that go wrong on some numbers or in some shapes.

The faults of ``harness.diagnosis`` are faults of algebra, and show on almost any numbers. Most spellings are not: the
formula is right, but its spelling overflows, cancels, underflows, broadcasts, forgets or stops too early. The edge
cases exist to catch them. A new spelling is a class in one of these modules, or in a new one.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from benchmarks.spellings.base import Spelling

__all__ = ["Spelling", "spellings"]


@cache
def spellings() -> dict[str, Spelling]:
    """Return every spelling by name, in the order of the modules' names and then of the source."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__) if module.name != "base"]
    found = [
        each()
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, Spelling)
        and each.__module__ == module.__name__
        and each.__name__[0] != "_"
    ]
    return {spelling.name: spelling for spelling in found}
