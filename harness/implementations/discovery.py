"""Find implementations: the modules of this package, and the entry points of other packages.

This imports no framework; an implementation imports its framework when it runs.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Collection, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from harness.implementations.base import Framework, Implementation

ENTRY_POINTS = "harness.implementations"


@cache
def implementations() -> dict[str, Implementation]:
    """Return every implementation by name: ours in the order of their modules' names, then those of other packages.

    Raises:
        ValueError: If two have one name.
    """
    from importlib.metadata import entry_points

    package = __name__.rpartition(".")[0]
    path = import_module(package).__path__
    modules = [import_module(f"{package}.{module.name}") for module in iter_modules(path)]
    ours = [each for module in modules for each in vars(module).values() if isinstance(each, Implementation)]
    offered = [point.load() for point in entry_points(group=ENTRY_POINTS)]
    found: dict[str, Implementation] = {}
    for each in [*ours, *offered]:
        if found.setdefault(each.name, each) is not each:
            raise ValueError(f"two implementations are named {each.name!r}")
    return found


def implementation_named(name: str) -> Implementation | None:
    """Return an implementation by name; None if there is none. The others are imported only if no module has its name.

    Raises:
        ValueError: If two have one name.
    """
    own_name = name.replace("-", "_")
    module = f"{__name__.rpartition('.')[0]}.{own_name}"
    if own_name.isidentifier() and (module in sys.modules or importlib.util.find_spec(module)):
        found = vars(import_module(module)).values()
        if own := [each for each in found if isinstance(each, Implementation) and each.name == name]:
            return own[0]
    return implementations().get(name)


class ImplementationNames(Collection[str]):
    """The names of all implementations, which are imported only if a name is looked for."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and implementation_named(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(implementations())

    def __len__(self) -> int:
        return len(implementations())


def is_taken(name: str) -> bool:
    """Return whether an implementation that can take part here has a name, without importing those that cannot."""
    if implementations.cache_info().currsize:
        return name in implementations()
    quoted = f'"{name}"'.encode()
    with os.scandir(Path(__file__).parent) as entries:
        sources = [Path(each.path) for each in entries if each.name.endswith(".py")]
    return any(quoted in source.read_bytes() for source in sources) and name in implementations()


def missing_modules(framework: Framework) -> list[str]:
    """Return the modules that a framework needs and the environment lacks, without importing any."""
    return [module for module in framework.modules if importlib.util.find_spec(module) is None]


def install_line(framework: Framework) -> str:
    """Return the command that installs the modules of a framework."""
    wanted = f"'bptt-harness[{framework.install}]'" if framework.install else " ".join(framework.modules)
    return f"pip install {wanted}"


def initialisers() -> dict[str, Implementation]:
    """Return the implementations with their framework's own initial weights, by the framework's name."""
    return {each.framework.name: each for each in implementations().values() if each.initial_weights is not None}
