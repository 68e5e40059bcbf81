"""Dependences of an answer beside its question: the source that computes it, and the environment of that.

The source is that of a module and of every module of the harness that it imports, directly or not. It is read, not
imported, so a change to one implementation affects its own answers alone. Only the version of other packages is
known, so the cache never holds answers of their implementations, which may be compiled kernels.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

OURS = ("harness", "reference_impls")

FOUND_BY_LOOKING = ("harness.layout",)
"""Packages with modules that are found in their folder, without an import statement."""

EVERYWHERE = ("numpy",)
"""Packages that any process may compute with."""

CAPABILITIES = ("model name", "flags", "Features", "CPU part")
"""Fields in which Linux lists the capabilities of a processor."""

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<dots>\.*)(?P<module>[\w.]*)[ \t]+import[ \t]*(?:\((?P<several>[^)]*)\)|(?P<one>[^\n(]*))"
    r"|import[ \t]+(?P<plain>[^\n]*))",
    re.MULTILINE,
)
_FOR_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+[^\n]*\n|\n)*", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")


@cache
def stamp_of_sources() -> str:
    """Return a digest of the name, size and date of every source file of ours, by which Python, too, sees a change."""
    digest = hashlib.blake2b(digest_size=16)
    for top in OURS:
        folder = _file_of(top)
        assert folder is not None, top
        waiting = [str(folder.parent)]
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in sorted(entries, key=lambda each: each.name):
                    if entry.name.endswith(".py"):
                        status = entry.stat()
                        digest.update(f"{entry.path} {status.st_size} {status.st_mtime_ns}\n".encode())
                    elif entry.name != "__pycache__" and entry.is_dir():
                        waiting.append(entry.path)
    return digest.hexdigest()


def sources_of(modules: Iterable[str]) -> str:
    """Return a digest of the source of modules of the harness, and of all that they import from it."""
    digest = hashlib.blake2b(digest_size=16)
    for name, path in sorted(reached_from(modules).items()):
        digest.update(f"{name}\n".encode())
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    return digest.hexdigest()


def reached_from(modules: Iterable[str]) -> dict[str, Path]:
    """Return the file of every module of the harness that some modules import, themselves included, by name."""
    waiting = [*modules, *(each for package in FOUND_BY_LOOKING for each in _modules_in(package))]
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        if name in found or name.partition(".")[0] not in OURS or (path := _file_of(name)) is None:
            continue
        found[name] = path
        waiting += _imported_by(name, path)
        if parent := name.rpartition(".")[0]:
            waiting.append(parent)
    return found


@cache
def _imported_by(name: str, path: Path) -> tuple[str, ...]:
    """Return what a file imports: modules, and names that may be modules."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = []
    source = path.read_text(encoding="utf-8", errors="replace")
    if name in OURS or path.name != "__init__.py":  # a package's names are imported when they are used, and all count
        source = _FOR_TYPES.sub("", source)
    for each in _IMPORT.finditer(source):
        if each["plain"] is not None:
            found += [part.split()[0] for part in each["plain"].split(",") if part.split()]
            continue
        base = each["module"]
        if each["dots"]:
            above = package.split(".")
            above = above[: len(above) - len(each["dots"]) + 1]
            base = ".".join([*above, *filter(None, [base])])
        names = re.sub(r"#[^\n]*", "", each["several"] or each["one"] or "").split(",")
        found += [base, *(f"{base}.{part.split()[0]}" for part in names if part.split())]
    return tuple(each for each in dict.fromkeys(found) if _NAME.fullmatch(each))


def _modules_in(package: str) -> list[str]:
    path = _file_of(package)
    assert path is not None, f"the harness has no package {package}"
    return [f"{package}.{each.stem}" for each in path.parent.glob("*.py") if each.stem != "__init__"]


@cache
def _file_of(module: str) -> Path | None:
    """Return the source of a module of ours; None if it is no module, but a name in one."""
    top, *below = module.split(".")
    spec = importlib.util.find_spec(top)
    assert spec is not None, top
    assert spec.submodule_search_locations is not None, top
    folder = Path(next(iter(spec.submodule_search_locations))).joinpath(*below)
    candidates = (folder / "__init__.py", folder.with_suffix(".py"))
    return next((each for each in candidates if each.is_file()), None)


def environment_of(modules: Iterable[str], variables: Mapping[str, str]) -> str:
    """Return the environment of a computation in one line: Python, the machine, packages, environment variables.

    Args:
        modules: the modules that it imports; they are neither imported nor executed here.
        variables: its environment variables.
    """
    there = [f"{name} {_version_of(name)}" for name in sorted({*modules, *EVERYWHERE})]
    values = [f"{name}={value}" for name, value in sorted(variables.items())]
    return "; ".join([sys.version, platform.machine(), *processor(CAPABILITIES), *there, *values])


@cache
def _version_of(module: str) -> str:
    """Return a module's version and, since a build from source may keep its version, what its file looks like."""
    spec = importlib.util.find_spec(module)
    status = None if spec is None or spec.origin is None else Path(spec.origin).stat()
    file = "" if status is None else f"{status.st_size} {status.st_mtime_ns}"
    return f"{_stated(module, spec)} {file}".lstrip()


def _stated(module: str, spec: ModuleSpec | None) -> str:
    """Return the version by which a module is installed; empty if no package has its name."""
    if spec is not None and spec.origin is not None:
        for folder in (Path(spec.origin).parent, Path(spec.origin).parents[1]):
            for each in folder.glob(f"{module}-*.dist-info"):
                return each.name.removesuffix(".dist-info").removeprefix(f"{module}-")
        if {"site-packages", "dist-packages"} & set(Path(spec.origin).parts):
            return ""
    from importlib.metadata import PackageNotFoundError, version  # takes as long as reading a case

    try:
        return version(module)
    except PackageNotFoundError:
        return ""


@cache
def processor(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines of these fields of the system's processors, each once; Python's description if there are none.

    Libraries choose their kernels by them, and kernels round differently.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return (platform.processor(),)
    return tuple(dict.fromkeys(line for line in lines if line.startswith(fields))) or (platform.processor(),)


def system() -> str:
    """Return the operating system and its C library, without the kernel's release, on which no number depends."""
    return "-".join(filter(None, [platform.system(), *platform.libc_ver()]))
