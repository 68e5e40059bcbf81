"""The two ends of a port: a framework that reads a file, computes with what it read, and writes one.

A new one is one new file here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from harness.port.sides.base import File, Side

__all__ = ["File", "Side", "sides"]


@cache
def sides() -> dict[str, Side]:
    """Every side by its layout: each module of this package that has a ``SIDE``."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found: list[Side] = [module.SIDE for module in modules if hasattr(module, "SIDE")]
    return {each.layout: each for each in found}
