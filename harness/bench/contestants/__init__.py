"""The contestants that are timed. A new one is one new file here, with a ``Contestant`` as ``CONTESTANT``.

Other packages add contestants by the entry point group ``harness.contestants``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from harness.bench.contestants.base import Contestant, Pass, Tensors

ENTRY_POINTS = "harness.contestants"

__all__ = ["Contestant", "Pass", "Tensors", "contestants"]


@cache
def contestants() -> dict[str, Contestant]:
    """Return every contestant by name: those on NumPy first, then those of other packages, then the rest of ours.

    This imports no framework; a contestant imports its framework when it prepares.
    """
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found = [*(point.load() for point in entry_points(group=ENTRY_POINTS))]
    found += [each for module in modules if isinstance(each := getattr(module, "CONTESTANT", None), Contestant)]
    return {each.name: each for each in sorted(found, key=lambda each: each.framework.name != "numpy")}
