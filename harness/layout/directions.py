"""A framework's names of the directions of a bidirectional layer; the canonical names mark the backward one alone."""

from __future__ import annotations

from collections.abc import Sequence

from harness.tensors import Structure


def named(structure: Structure, directions: Sequence[str]) -> dict[str, str]:
    """Return a framework's name of every block: ``layer0.fw`` for layer0 and ``layer0.bw`` for layer0.reverse.

    Args:
        structure: The network; if its layers are not bidirectional, each block keeps its name.
        directions: The framework's words for forward and backward, such as ``fw`` and ``bw``.
    """
    if structure.directions == 1:
        return {block: block for block in structure.blocks}
    forward, backward = directions
    return {
        block: f"{block.removesuffix('.reverse')}.{backward if block.endswith('.reverse') else forward}"
        for block in structure.blocks
    }
