"""Tensors by name to layers, layers to stacks of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from harness.checkpoint.base import CheckpointRefused, Stored
from harness.checkpoint.naming import Block, Naming


@dataclass(frozen=True)
class Said:
    """The config of a layer in a whole model, besides its cell.

    Attributes:
        names: the names of the models around it, from the outermost one in, and its own.
        group: the folder of its tensors in the file, another name of the layer.
        reads: the path of the layer that it reads, without dropout between them; empty if it reads none in its model.
        through: the skipped layers of dropout, each with its class.
        sequence: whether it returns every step.
        inert: its properties that a port lacks and that change no number at inference, as text.
    """

    names: tuple[str, ...]
    group: str
    reads: str
    through: tuple[str, ...]
    sequence: bool
    inert: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A recurrent layer, in one direction or in both.

    Attributes:
        layout: the layout of its tensors.
        path: its own, or that of its stack if it has a number there.
        number: its number in its stack, if its name has one.
        block: its cell and sizes; None if it is refused.
        names: for each direction, False for forward, the file's names of its tensors by role.
        refused: the reason why the harness has no such layer.
        said: its config in the file; None if the file has none.
    """

    layout: str
    path: str
    number: int | None
    block: Block | None
    names: Mapping[bool, Mapping[str, str]]
    refused: CheckpointRefused | None = None
    said: Said | None = None

    @property
    def directions(self) -> int:
        """D."""
        return len(self.names)

    def is_called(self, wanted: str) -> bool:
        """Return whether a path is the layer's, or the end of it, or the folder of its tensors in the file."""
        return ends_in(self.path, wanted) or (self.said is not None and self.said.group == wanted)


TOP = "."
"""The name of the only layer of a file that has an empty path."""


def ends_in(path: str, wanted: str) -> bool:
    """Return whether a path is the wanted one, or ends in it."""
    return path == ("" if wanted == TOP else wanted) or path.endswith((f".{wanted}", f"/{wanted}"))


@dataclass(frozen=True, eq=False)
class Stack:
    """Layers that may be in sequence.

    Attributes:
        layers: from the inputs up.
    """

    layers: tuple[StoredLayer, ...]

    @property
    def path(self) -> str:
        """The path of the stack, or those of its layers."""
        return ",".join(dict.fromkeys(each.path for each in self.layers))

    @property
    def called(self) -> str:
        """The path for a message."""
        return self.path or "its layer"

    @property
    def cell(self) -> str:
        """The cell of the first layer; empty if it is refused."""
        block = self.layers[0].block
        return "" if block is None else block.cell

    def why_not(self) -> str:
        """Return why the layers are no network of the harness's; empty if they are."""
        numbered: dict[str, list[int]] = {}
        for each in self.layers:
            if each.number is not None:
                numbered.setdefault(each.path, []).append(each.number)
        for path, numbers in numbered.items():
            if numbers != list(range(len(numbers))):
                gap = next(n for n, each in enumerate([*numbers, -1]) if n != each)
                there = f"layer{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
                some = next(each for each in self.layers if each.path == path)
                lacks = _at(some.names[False] if False in some.names else some.names[True], numbers[0], gap)
                return f"has {there}{f' of {path}' * bool(path)} and no layer {gap} ({lacks})"
        for below, each in pairwise(self.layers):
            if each.said is not None and each.said.reads != below.path:
                if each.said.reads:
                    return f"says in its config that {each.path} reads {each.said.reads}, and not {below.path}"
                return f"does not say in its config that {each.path} reads {below.path} alone"
        first = self.layers[0]
        if first.block is None:
            return ""
        for n, each in enumerate(self.layers):
            block = each.block
            if block is None:
                continue
            kind, of_first = (block.cell, block.reset), (first.block.cell, first.block.reset)
            if block.activation != first.block.activation:
                return (
                    f"has layer 0 with activation {first.block.activation} and layer {n} with {block.activation}, "
                    "where all should be alike"
                )
            if kind != of_first:
                return f"has layer 0, {_kind(of_first)}, and layer {n}, {_kind(kind)}; all should be alike"
            if each.directions != first.directions:
                one, both = (0, n) if first.directions == 1 else (n, 0)
                lacks = _at(self.layers[both].names[True], both, one)
                return (
                    f"has layer {both} in both directions and layer {one} in the forward direction alone (no {lacks})"
                )
            if block.hidden != first.block.hidden:
                return (
                    f"has layers of {first.block.hidden} and of {block.hidden} hidden units; the harness has one width"
                )
            width = first.directions * first.block.hidden
            if n and block.input != width:
                return f"has layer {n} with inputs of width {block.input}, where the layer below hands on {width}"
        return ""


def _at(names: Mapping[str, str], n: int, wanted: int) -> str:
    """Return the names of the tensors of layer n as those of another layer; layers without a number keep theirs."""
    numbered = re.compile(rf"(.*(?:_l|layer|cell_)){n}(?!\d)", re.DOTALL)
    return ", ".join(numbered.sub(rf"\g<1>{wanted}", name, count=1) for name in names.values())


def _kind(kind: tuple[str, str | None]) -> str:
    return kind[0] if kind[1] is None else f"{kind[0]} with its reset {kind[1]} the product"


def found_in(stored: Mapping[str, Stored], naming: Naming, reset: str | None) -> list[StoredLayer]:
    """Return the recurrent layers that a naming finds, in the order of stacks.

    Args:
        stored: the tensors of a file.
        naming: their naming.
        reset: of a gru, if nothing else shows it.
    """
    tensors: dict[tuple[str, int | None], dict[bool, dict[str, str]]] = {}
    for name in stored:
        if (parsed := naming.parsed(name)) is not None:
            tensors.setdefault((parsed.path, parsed.number), {}).setdefault(parsed.reverse, {})[parsed.role] = name
    found = [_layer(stored, naming, reset, *key, names) for key, names in tensors.items()]
    return sorted(filter(None, found), key=lambda each: (_natural(each.path), each.number or 0))


def called(naming: Naming, names: Mapping[str, str], role: str) -> str:
    """Return the name of a layer's tensor, or the name that it would have by the existing ones.

    Args:
        naming: the naming.
        names: the layer's, by role.
        role: the tensor's.
    """
    if role in names:
        return names[role]
    own, name = next(iter(names.items()))
    return naming.sibling(name, own, role)


def _layer(
    stored: Mapping[str, Stored],
    naming: Naming,
    reset: str | None,
    path: str,
    number: int | None,
    names: Mapping[bool, Mapping[str, str]],
) -> StoredLayer | None:
    blocks = []
    in_order = {reverse: names[reverse] for reverse in sorted(names)}
    for of_direction in in_order.values():
        try:
            of_roles = {role: stored[name] for role, name in of_direction.items()}
            blocks.append(naming.block(of_roles, reset, partial(called, naming, of_direction)))
        except CheckpointRefused as refused:
            return StoredLayer(naming.layout, path, number, None, in_order, refused)
    if None in blocks:
        return None
    wrong = None
    if False not in names:
        wrong = CheckpointRefused(f"has {path or 'its layer'} in the backward direction alone")
    elif blocks[0] != blocks[-1]:
        wrong = CheckpointRefused(f"has {path or 'its layer'} with two directions that differ in cell or sizes")
    return StoredLayer(naming.layout, path, number, None if wrong else blocks[0], in_order, wrong)


def stacks_of(layers: Sequence[StoredLayer]) -> list[Stack]:
    """Combine layers that are known to be one network: by their numbers, or by a config with their order.

    Names and widths alone do not show it: two layers side by side, and two with a Dense between them, have the same
    tensors as two in sequence.
    """
    groups: dict[tuple[str, str], list[StoredLayer]] = {}
    heights: dict[StoredLayer, int] = {}
    by_path = {each.path: each for each in layers if each.said is not None}
    below = {
        each.path: by_path[each.said.reads] for each in by_path.values() if each.said and each.said.reads in by_path
    }
    readers = Counter(each.path for each in below.values())
    for each in layers:
        first, seen = each, {each.path}
        while (under := below.get(first.path)) is not None and under.path not in seen:
            if readers[under.path] > 1 or not _stand(under, first):
                break
            first = under
            seen.add(first.path)
        heights[each] = each.number or len(seen)
        groups.setdefault((each.layout, first.path), []).append(each)
    return [Stack(tuple(sorted(group, key=heights.__getitem__))) for group in groups.values()]


def _stand(below: StoredLayer, above: StoredLayer) -> bool:
    """Return whether two layers, one reading the other, are a network of the harness's."""
    whole = below.refused is None and above.refused is None and below.said is not None and below.said.sequence
    return whole and not Stack((below, above)).why_not()


def _natural(path: str) -> list[tuple[int, int, str]]:
    """Return a sort key that orders lstm_2 before lstm_10."""
    return [(1, int(each), "") if each.isdigit() else (0, 0, each) for each in re.split(r"(\d{1,9})", path) if each]
