"""The words for places in a step: its own lines and its own variables."""

from __future__ import annotations

import linecache
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from harness.derive.operations import Carry
from harness.derive.tape import Node, Site
from harness.diagnosis.recurrent.tracks import Track

_TARGET = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)")

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


class Names:
    """The names of nodes, in the words of the step.

    Attributes:
        track: the steps.
        by_site: for each place in the step its node at each position.
    """

    def __init__(self, track: Track) -> None:
        self.track, self.by_site = track, track.by_site
        self._last: dict[int, int] = {}
        self._alike: dict[tuple[int, str], list[int]] = {}
        for site, at in track.by_site.items():
            name = next(iter(at.values())).operation.name  # type: ignore[union-attr] # every node here has one
            self._last[site.line] = max(self._last.get(site.line, 0), site.nth)
            alike = self._alike.setdefault((site.line, name), [])
            if site.nth not in alike:
                alike.append(site.nth)

    def line(self, site: Site) -> str:
        """Return the line of a site, without its comment."""
        return linecache.getline(self.track.file, site.line).partition("  #")[0].strip()

    def of(self, node: Node) -> str:
        """Return the name of a node: that of an array, of a variable, or its operation and line."""
        if name := self.track.name(node):
            return f"the state {name}" if isinstance(node.operation, Carry) else name
        if node.operation is None:
            return "a number"
        target = _TARGET.match(self.line(node.site))
        if target and node.site.nth == self._last[node.site.line]:
            return target[1]
        if node.operation.name == "index" and (parent := self.of(node.parents[0])) and " in " not in parent:
            return f"the {self.operation(node).removesuffix('index')}part of {parent}"
        return f"the {self.operation(node)} in `{self.line(node.site)}`"

    def operation(self, node: Node) -> str:
        """Return the name of a node's operation, with its position among those of its name in the line."""
        assert node.operation is not None
        alike = self._alike[node.site.line, node.operation.name]
        if len(alike) == 1:
            return node.operation.name
        nth = alike.index(node.site.nth)
        ordinal = ORDINALS[nth] if nth < len(ORDINALS) else f"{nth + 1}th"
        return f"{ordinal} {node.operation.name}"

    def is_variable(self, node: Node) -> bool:
        """Return whether a node has a name of its own in the step: of what it is given, or of a variable."""
        if self.track.name(node) or node.operation is None:
            return bool(self.track.name(node))
        return _TARGET.match(self.line(node.site)) is not None and node.site.nth == self._last[node.site.line]

    def is_ambiguous(self, site: Site, operand: Node) -> bool:
        """Return whether an operand's name stands for more than one operand in a line of the step."""
        return self._counts[site.line, self.of(operand)] > 1

    @cached_property
    def _counts(self) -> Counter[tuple[int, str]]:
        return Counter((site.line, self.of(parent)) for site, _, _, parent in self.operands())

    def operands(self) -> Iterator[tuple[Site, Node, int, Node]]:
        """Yield each site with its first node, and each operand that a gradient goes to."""
        for site, at in self.by_site.items():
            node = next(iter(at.values()))
            for k, parent in enumerate(node.parents):
                if parent.operation is not None or parent.name:
                    yield site, node, k, parent
