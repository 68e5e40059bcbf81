"""Dependences of answers, sent from one machine to another: those that must be equal, and those that may differ."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import harness
import reference_impls
from harness.execution.cache.dependence import EVERYWHERE, processor, system
from harness.execution.processes.answer_cache import runs_on
from harness.implementations import Framework, implementations

ABSENT = "not installed"
MODEL = ("model name", "CPU part")
"""Words under which Linux names a processor."""


def fingerprint(frameworks: Iterable[str]) -> dict[str, Any]:
    """Return, as JSON can hold it, what the answers of these frameworks depend on here."""
    chosen = [by_name()[name] for name in sorted(frameworks)]
    modules = sorted({*EVERYWHERE, *(module for each in chosen for module in each.modules)})
    return {
        "harness": f"{version('bptt-harness')} (source {_source()})",
        "modules": {module: _version_of(module) for module in modules},
        "environments": {each.name: runs_on(each.name) for each in chosen},
        "machine": {
            "host": platform.node(),
            "python": platform.python_version(),
            "platform": system(),
            "machine": platform.machine(),
            "processor": processor(MODEL)[0].partition(":")[2].strip() or platform.processor(),
        },
    }


def differences(own: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what must be alike and is not, in words: what the other has, and what it should be."""
    found = []
    if own["harness"] != other["harness"]:
        found.append(f"bptt-harness is {other['harness']}, but should be {own['harness']}")
    for module, expected in own["modules"].items():
        actual = other["modules"].get(module, ABSENT)
        if actual != expected:
            found.append(f"{module} is {actual}, but should be {expected}")
    return found


def by_name() -> dict[str, Framework]:
    """Return every framework that an implementation runs in, by name."""
    return {each.framework.name: each.framework for each in implementations().values()}


@cache
def _source() -> str:
    """Return a digest of the whole source: what asks and what answers must be one."""
    digest = hashlib.blake2b(digest_size=6)
    for package in (harness, reference_impls):
        root = Path(next(iter(package.__path__)))
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{package.__name__}/{path.relative_to(root).as_posix()}\n".encode())
            digest.update(hashlib.blake2b(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _version_of(module: str) -> str:
    try:
        return version(module)
    except PackageNotFoundError:
        distributions = packages_distributions().get(module, [])
        return version(distributions[0]) if distributions else ABSENT
