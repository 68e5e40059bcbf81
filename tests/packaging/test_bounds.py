"""Each dependency has a lower bound, and the two files of pinned versions hold to the bounds."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ITSELF = PROJECT["project"]["name"]
OF_TOOLS = ("docs", "dev")
"""Extras whose versions are those of constraints.txt alone: pages and findings depend on them."""
WITHOUT_LOWEST = {"torch"}
"""Its wheels bring CUDA, so that it was run with the version of constraints.txt alone."""


def pinned(file: str) -> dict[str, Version]:
    """Return the versions in a file of constraints, by canonical name."""
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / file).read_text(), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in pins}


def declared() -> Iterator[tuple[str, Requirement]]:
    """Yield the requirements of pyproject.toml, each with the group that it stands in."""
    groups = {
        "build-system": PROJECT["build-system"]["requires"],
        "dependencies": PROJECT["project"]["dependencies"],
        **PROJECT["project"]["optional-dependencies"],
    }
    for group, lines in groups.items():
        for requirement in map(Requirement, lines):
            if requirement.name != ITSELF:
                yield group, requirement


def lower_bound(requirement: Requirement) -> Version:
    """Return the one lower bound of a requirement."""
    (bound,) = [Version(each.version) for each in requirement.specifier if each.operator == ">="]
    return bound


NEWEST, LOWEST = pinned("constraints.txt"), pinned("constraints-lowest.txt")


def test_each_pinned_version_satisfies_the_bounds():
    for _, requirement in declared():
        version = NEWEST[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: {version} in constraints.txt"


def test_each_lower_bound_is_a_version_that_was_run():
    for group, requirement in declared():
        name = canonicalize_name(requirement.name)
        if group in OF_TOOLS or name in WITHOUT_LOWEST:
            assert lower_bound(requirement) <= NEWEST[name], name
        else:
            stale = f"{name}: make lowest-versions writes constraints-lowest.txt anew"
            assert lower_bound(requirement) == LOWEST[name], stale


def test_the_lowest_versions_need_no_torch():
    assert not WITHOUT_LOWEST & LOWEST.keys()
