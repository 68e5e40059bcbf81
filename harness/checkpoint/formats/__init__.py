"""The file formats of weights. A new one is one new file here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from harness.casefile import listed
from harness.checkpoint.base import CheckpointRefused, Format


@cache
def formats() -> dict[str, Format]:
    """Every format by its module's name: each module of this package that has a ``FORMAT``."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return {module.__name__.rpartition(".")[2]: module.FORMAT for module in modules if hasattr(module, "FORMAT")}


def format_of(path: Path) -> Format:
    """Return the format that a file's name says it has.

    Raises:
        CheckpointRefused: if there is none.
    """
    for each in formats().values():
        if path.name.endswith(each.suffixes):
            return each
    tf1 = formats()["tf1"]
    if any(file.exists() for file in tf1.files(path)):  # such a checkpoint is named without what its files end in
        return tf1
    known = [suffix for each in formats().values() for suffix in each.suffixes]
    raise CheckpointRefused(f"{path.name} is no checkpoint that is known", f"its name should end in {listed(known)}")
