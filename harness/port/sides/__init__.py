"""The two ends of a port: a framework that reads a file, computes with its weights, and writes one.

A new one is one new file here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from harness.port.sides.base import File, Side

__all__ = ["File", "Side", "readers", "sides"]


@cache
def sides() -> dict[str, Side]:
    """Every side that writes, by its layout: each module of this package that has a ``SIDE``."""
    return {each.layout: each for each in _in_modules("SIDE")}


@cache
def readers() -> dict[str, Side]:
    """Every side by its name: those that write, and each module's ``READER``, which only reads."""
    return {each.name: each for each in (*_in_modules("SIDE"), *_in_modules("READER"))}


def _in_modules(what: str) -> list[Side]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return [getattr(module, what) for module in modules if hasattr(module, what)]
