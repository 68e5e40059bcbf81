"""The names of a recurrent layer's tensors, by layout. A new naming is one new file here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from harness.checkpoint.naming.base import Block, Incomplete, Naming, TensorName

__all__ = ["Block", "Incomplete", "Naming", "TensorName", "namings"]


@cache
def namings() -> dict[str, Naming]:
    """Return every naming by its layout: each module of this package that has a ``NAMING``."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found: list[Naming] = [module.NAMING for module in modules if hasattr(module, "NAMING")]
    return {each.layout: each for each in found}
