"""Tensors by name to layers, layers to stacks of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.checkpoint.base import CheckpointRefused, Stored
from harness.checkpoint.naming import Block, Naming


@dataclass(frozen=True, eq=False)
class Layer:
    """A recurrent layer, in one direction or in both.

    Attributes:
        layout: the layout of its tensors.
        path: its own, or that of its stack if it has a number there.
        number: where it stands in its stack, if its name says.
        block: its cell and sizes; None if it is refused.
        names: for each direction, False for forward, the file's names of its tensors by role.
        refused: why the harness has no such layer.
    """

    layout: str
    path: str
    number: int | None
    block: Block | None
    names: Mapping[bool, Mapping[str, str]]
    refused: CheckpointRefused | None = None

    @property
    def directions(self) -> int:
        """D."""
        return len(self.names)


@dataclass(frozen=True, eq=False)
class Stack:
    """Layers that may stand one above another.

    Attributes:
        layers: from the inputs up.
    """

    layers: tuple[Layer, ...]

    @property
    def path(self) -> str:
        """The path of the stack, or those of its layers."""
        return ",".join(dict.fromkeys(each.path for each in self.layers))

    def why_not(self) -> str:
        """Return why the layers are no network of the harness's; empty if they are."""
        numbers = [each.number for each in self.layers]
        if numbers[0] is not None and numbers != list(range(len(numbers))):
            return f"has {self.path or 'layers'} with the layers {', '.join(map(str, numbers))}, and not from 0 on"
        first = self.layers[0]
        if first.block is None:
            return ""
        for n, each in enumerate(self.layers):
            block = each.block
            if block is None:
                continue
            kind, of_first = (block.cell, block.reset), (first.block.cell, first.block.reset)
            if kind != of_first:
                return f"has layer 0, {_kind(of_first)}, and layer {n}, {_kind(kind)}, where all should be alike"
            if each.directions != first.directions:
                return f"has layer 0 in {first.directions} and layer {n} in {each.directions} directions"
            if block.hidden != first.block.hidden:
                return (
                    f"has layers of {first.block.hidden} and of {block.hidden} hidden units; the harness has one width"
                )
            width = first.directions * first.block.hidden
            if n and block.input != width:
                return f"has layer {n} with inputs of width {block.input}, where the layer below hands on {width}"
        return ""


def _kind(kind: tuple[str, str | None]) -> str:
    return kind[0] if kind[1] is None else f"{kind[0]} with its reset {kind[1]} the product"


def found_in(stored: Mapping[str, Stored], naming: Naming, cell: str | None) -> list[Layer]:
    """Return the recurrent layers that a naming finds, in the order in which stacks of them would stand."""
    tensors: dict[tuple[str, int | None], dict[bool, dict[str, str]]] = {}
    for name in stored:
        if (part := naming.part(name)) is not None:
            tensors.setdefault((part.path, part.number), {}).setdefault(part.reverse, {})[part.role] = name
    found = [_layer(stored, naming, cell, *key, names) for key, names in tensors.items()]
    return sorted(filter(None, found), key=lambda each: (_natural(each.path), each.number or 0))


def _layer(
    stored: Mapping[str, Stored],
    naming: Naming,
    cell: str | None,
    path: str,
    number: int | None,
    names: Mapping[bool, Mapping[str, str]],
) -> Layer | None:
    blocks = []
    in_order = {reverse: names[reverse] for reverse in sorted(names)}
    for of_direction in in_order.values():
        try:
            blocks.append(naming.block({role: stored[name] for role, name in of_direction.items()}, cell))
        except CheckpointRefused as refused:
            return Layer(naming.layout, path, number, None, in_order, refused)
    if None in blocks:
        return None
    wrong = None
    if False not in names:
        wrong = CheckpointRefused(f"has {path} in the backward direction alone")
    elif blocks[0] != blocks[-1]:
        wrong = CheckpointRefused(f"has {path} with two directions that differ in cell or sizes")
    return Layer(naming.layout, path, number, None if wrong else blocks[0], in_order, wrong)


def stacks_of(layers: Sequence[Layer]) -> list[Stack]:
    """Put layers together that are one stack: by their numbers, or where they are named alike and fit."""
    groups: dict[tuple[str, str, bool], list[Layer]] = {}
    for each in layers:
        alike = each.path if each.number is not None else re.sub(r"_?\d+", "", each.path)
        groups.setdefault((each.layout, alike, each.number is None), []).append(each)
    stacks = []
    for (_, _, by_name), group in groups.items():
        whole = Stack(tuple(group))
        fits = not by_name or (not whole.why_not() and all(each.refused is None for each in group))
        stacks += [whole] if fits else [Stack((each,)) for each in group]
    return stacks


def _natural(path: str) -> list[tuple[int, int, str]]:
    """Return what sorts lstm_2 before lstm_10."""
    return [(1, int(each), "") if each.isdigit() else (0, 0, each) for each in re.split(r"(\d{1,9})", path) if each]
