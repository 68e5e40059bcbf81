"""Packages whose names are imported when they are first used, so that a command waits for what it needs alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def by_module(package: str, modules: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package; mypy reads the same imports under ``if TYPE_CHECKING``.

    Args:
        package: the package.
        modules: the names that each of its modules provides, by the module's name.
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def imported(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return imported
