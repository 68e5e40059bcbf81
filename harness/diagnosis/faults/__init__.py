"""The catalogue of faults. A new one is a class in one of these modules, or in a new one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from harness.diagnosis.faults.base import Fault, LayerFault, NetworkFault, Suspect, kinds_of, obstacle_to, suspects_of

__all__ = ["Fault", "LayerFault", "NetworkFault", "Suspect", "faults", "kinds_of", "obstacle_to", "suspects_of"]


@cache
def faults() -> dict[str, type[Fault]]:
    """Every fault of the catalogue, by name: each class of these modules that is one."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__) if module.name != "base"]
    found = [
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, Fault)
        and each.__module__ == module.__name__
        and each.__name__[0] != "_"
    ]
    return {fault.title(): fault for fault in found}
