"""The ids of a parametrised test that ``make test`` runs: few that cover what all do. ``make test-all`` runs all.

``@pytest.mark.spread(1)`` keeps ids in which each value of each parameter occurs, ``spread(2)`` those in which each
pair of values of two parameters occurs. The others are marked ``full``. The choice is the same on each machine.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable
from heapq import heapify, heappop, heappush
from itertools import combinations
from zlib import crc32

import pytest


def covering(features: dict[str, Iterable[Hashable]], strength: int) -> set[str]:
    """Return few names whose features, taken ``strength`` at a time, are those of all names.

    Greedy: the name with the most features that no chosen one has comes next. A checksum of the part in brackets breaks
    ties, so that the chosen ones are spread over all, and implementations share the combinations of a case file.
    """
    left = {
        name: set(combinations(sorted(own, key=repr), min(strength, len(own))))
        for name, own in ((name, list(dict.fromkeys(each))) for name, each in features.items())
    }
    queue = [(-len(parts), crc32(name.partition("[")[2].encode()), name) for name, parts in left.items()]
    heapify(queue)
    covered: set[tuple[Hashable, ...]] = set()
    chosen = set()
    while queue:
        promised, tie, name = heappop(queue)
        new = left[name] - covered
        if len(new) < -promised:  # others cover more by now
            if new:
                heappush(queue, (-len(new), tie, name))
        elif new:
            covered |= new
            chosen.add(name)
    return chosen


def _features(item: pytest.Item) -> list[Hashable]:
    """Return the value of each parameter of a test; for a case file, the implementation and each swept field."""
    if (call := getattr(item, "callspec", None)) is not None:
        return [(parameter, repr(value)) for parameter, value in call.params.items()]
    implementation, _, combination = item.name.partition("[")
    return [implementation, *re.findall(r"[\w.]+=(?:\[[^]]*\]|\{[^}]*\}|[^,\[\]{}]+)", combination)]


def mark_full(items: list[pytest.Item]) -> None:
    """Mark as ``full`` the ids that a test with the marker ``spread``, or a case file, can do without.

    A case file keeps each implementation and each value of each swept field; ``make report`` runs all. A documented
    mismatch is looked for in the answers of all implementations, so that all of these run.
    """
    groups: dict[tuple[str, bool, int], dict[str, pytest.Item]] = defaultdict(dict)
    for item in items:
        if (marker := item.get_closest_marker("spread")) is not None:
            groups[item.nodeid.partition("[")[0], True, marker.args[0]][item.nodeid] = item
        elif item.get_closest_marker("harness_case") and item.case.expect == "match":
            supported = not item.implementation.reason_against(item.case)  # else the test is a skip
            groups[item.nodeid.partition("::")[0], supported, 1][item.nodeid] = item
    for (_, _, strength), group in groups.items():
        kept = covering({name: _features(item) for name, item in group.items()}, strength)
        for name, item in group.items():
            if name not in kept:
                item.add_marker("full")
