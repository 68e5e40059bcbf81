"""Implementations in groups, as a page shows them."""

from __future__ import annotations

from collections.abc import Iterable

from harness.implementations import NUMPY, implementations

YOURS = "yours"
BY_HAND = "hand-written"
FRAMEWORKS = "frameworks"
ORACLES = "oracles"
VARIANTS = "documented variants"
GROUPS = (YOURS, BY_HAND, FRAMEWORKS, ORACLES, VARIANTS)
"""The groups in their order; a page hides the last one until it is asked for."""

WITHOUT_BACKWARD_PASS = ("certified", "closed-form")
"""Implementations that use no backward pass, besides those that decide between two others."""


def group_of(name: str) -> str:
    """Return the group of an implementation; ``yours`` for one that is not of the harness."""
    found = implementations().get(name)
    if found is None or not found.function.__module__.startswith("harness."):
        return YOURS
    if found.only_named:
        return VARIANTS
    if found.is_oracle or name in WITHOUT_BACKWARD_PASS:
        return ORACLES
    return BY_HAND if found.framework == NUMPY else FRAMEWORKS


def grouped(names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Return implementations by group, each group with its own in the given order; no group is empty."""
    found: dict[str, list[str]] = {group: [] for group in GROUPS}
    for name in names:
        found[group_of(name)].append(name)
    return [(group, names) for group, names in found.items() if names]
