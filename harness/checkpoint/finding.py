"""The recurrent layers of a checkpoint, found by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from numpy import ndarray

from harness.casefile import nearest
from harness.checkpoint.base import WIDER, CheckpointRefused, Stored
from harness.checkpoint.formats import format_of
from harness.checkpoint.layers import Layer, Stack, found_in, stacks_of
from harness.checkpoint.naming import Block, Naming, namings

MOST_TOLD = 12
"""Layers, or tensors, that are told where none is the one."""

TOP = "."
"""How the layer of a file that is nothing but that layer is called: its path is empty."""


@dataclass(frozen=True, eq=False)
class Recurrent:
    """The recurrent layers of a checkpoint that were chosen, one above another.

    Attributes:
        path: theirs, as it is told; several where each has its own, with commas between.
        layout: the layout of their tensors.
        layers: how many there are.
        block: the cell and sizes of the first one.
        directions: D, 2 if they are bidirectional.
        dtype: float64 if one of their tensors is, else float32.
        names: for each layer and direction (None where there is one) the file's names of its tensors, by role.
        biased: whether the file has biases.
        stored: every tensor of the file.
    """

    path: str
    layout: str
    layers: int
    block: Block
    directions: int
    dtype: str
    names: Mapping[tuple[int, bool | None], Mapping[str, str]]
    biased: bool
    stored: Mapping[str, Stored]

    @property
    def naming(self) -> Naming:
        """How the layout names tensors."""
        return namings()[self.layout]

    @property
    def parameters(self) -> int:
        """How many numbers there are."""
        return _numbers([self.stored[name] for names in self.names.values() for name in names.values()])

    def tensors(self) -> dict[str, ndarray]:
        """Read the numbers, under the layout's names; biases that the file has not are zero."""
        found: dict[str, ndarray] = {}
        for (n, reverse), names in self.names.items():
            arrays = {role: self.stored[name].read().astype(self.dtype) for role, name in names.items()}
            found |= self.naming.named(n, reverse, self.block, arrays, self.dtype)
        return found

    def readout(self, width: int, path: str | None) -> dict[str, str]:
        """Return the file's names of the readout's weight and bias, by the layout's names of them.

        Args:
            width: of the outputs.
            path: where it is; if not given, it is what fits.

        Raises:
            CheckpointRefused: if none fits, or several do.
        """
        state = self.directions * self.block.hidden
        shapes = {(state, width), (width, state)} if self.layout != "torch" else {(width, state)}
        own = {name for names in self.names.values() for name in names.values()}
        linear: dict[str, dict[str, str]] = {}
        for name in self.stored.keys() - own:
            if (said := self.naming.linear(name)) is not None:
                linear.setdefault(said[0], {})[f"readout.{said[1]}"] = name
        fitting = {}
        for each, names in linear.items():
            found = {self.stored[name].shape for name in names.values()}
            if len(names) == 2 and len(found) == 2 and (width,) in found and found & shapes:
                fitting[each] = names
        if path is not None:
            if len(chosen := [each for each in fitting if _ends(each, path)]) == 1:
                return fitting[chosen[0]]
            hint = nearest(path, fitting) or (f"there are {_told(fitting)}" if fitting else "")
            raise CheckpointRefused(f"has no readout {path!r} from {state} to {width} with a bias", hint, "readout")
        if len(fitting) != 1:
            problem = f"has {len(fitting)} linear layers from {state} to {width} with a bias, for the readout"
            raise CheckpointRefused(problem, f"choose one by readout: {_told(fitting)}" if fitting else "", "readout")
        return next(iter(fitting.values()))


def opened(path: Path) -> tuple[Mapping[str, Stored], str]:
    """Return what tensors a file has, and the layout of its format; empty if that may have any.

    Raises:
        CheckpointRefused: if it cannot be read.
    """
    file_format = format_of(path)
    for file in file_format.files(path):
        if not file.is_file():
            problem = "is no file" if file.exists() else f"does not exist: there is no {file.name}"
            raise CheckpointRefused(problem)
    try:
        return file_format.tensors(path), file_format.layout
    except OSError as error:
        raise CheckpointRefused(f"cannot be read: {error.strerror or error}") from None


def find(path: Path, layout: str | None = None, layer: str | None = None, cell: str | None = None) -> Recurrent:
    """Find recurrent layers in a checkpoint.

    Args:
        path: the file.
        layout: that of its tensors; if not given, that of its format, or what their names say.
        layer: the path of the layers that are meant, or its end; several paths, from the inputs up, with commas
            between. If not given, there must be one stack of layers.
        cell: which it is, where that is known.

    Raises:
        CheckpointRefused: if it cannot be read, or there is no such layer, or several.
    """
    stored, own = opened(path)
    tried = [layout] if layout else [own] if own else list(namings())
    found = [each for name in tried for each in found_in(stored, namings()[name], cell)]
    stacks = stacks_of(found)
    if not stacks:
        there = ", ".join(f"{name} {each.shape}" for name, each in list(stored.items())[:MOST_TOLD]) or "nothing"
        of_layout = f" in the layout {layout}" if layout else ""
        raise CheckpointRefused(
            f"has no recurrent layer{of_layout} that the names and shapes of its tensors tell", f"it has {there}"
        )
    return _settled(_chosen(stacks, found, layer), stored)


def _chosen(stacks: list[Stack], layers: list[Layer], wanted: str | None) -> Stack:
    if wanted is None:
        if len(stacks) == 1 or all(layer.refused is not None for each in stacks for layer in each.layers):
            return stacks[0]
        raise CheckpointRefused(
            f"has {len(stacks)} recurrent layers", f"choose one by layer: {_described(stacks)}", "layer"
        )
    if matching := [each for each in stacks if _ends(each.path, wanted) or each.path == wanted]:
        if len(matching) == 1:
            return matching[0]
        raise CheckpointRefused(f"has {len(matching)} layers {wanted!r}", f"it has {_described(matching)}", "layer")
    chosen = []
    for each in wanted.split(","):
        matched = [layer for layer in layers if layer.number is None and _ends(layer.path, each.strip())]
        if len(matched) != 1:
            known = [stack.path or TOP for stack in stacks]
            hint = nearest(each.strip(), known) or f"it has {_described(stacks)}"
            raise CheckpointRefused(
                f"has {len(matched) or 'no'} recurrent layer{'s' * (len(matched) > 1)} {each.strip()!r}", hint, "layer"
            )
        chosen += matched
    return Stack(tuple(chosen))


def _settled(stack: Stack, stored: Mapping[str, Stored]) -> Recurrent:
    """Make sure that layers are one network, and return it."""
    for each in stack.layers:
        if each.refused is not None:
            raise each.refused
    if wrong := stack.why_not():
        raise CheckpointRefused(wrong, "", "layer")
    names = {
        (n, None if each.directions == 1 else reverse): names
        for n, each in enumerate(stack.layers)
        for reverse, names in each.names.items()
    }
    used = [stored[name] for each in names.values() for name in each.values()]
    for name in (name for each in names.values() for name in each.values()):
        if stored[name].dtype not in WIDER:
            raise CheckpointRefused(f"has {name} of dtype {stored[name].dtype}", f"weights are of {', '.join(WIDER)}")
    first = stack.layers[0]
    assert first.block is not None
    biased = any("bias" in role or role.startswith("b") for each in names.values() for role in each)
    dtype = "float64" if any(each.dtype == "float64" for each in used) else "float32"
    return Recurrent(
        stack.path or TOP, first.layout, len(stack.layers), first.block, first.directions, dtype, names, biased, stored
    )


def _numbers(stored: list[Stored]) -> int:
    total = 0
    for each in stored:
        count = 1
        for size in each.shape:
            count *= size
        total += count
    return total


def _ends(path: str, wanted: str) -> bool:
    """Whether a path is what is wanted, or ends in it."""
    return path == ("" if wanted == TOP else wanted) or path.endswith((f".{wanted}", f"/{wanted}"))


def _described(stacks: list[Stack]) -> str:
    def one(stack: Stack) -> Iterator[str]:
        yield stack.path or TOP
        block = stack.layers[0].block
        if block is not None:
            yield f"({block.cell}, {block.input} to {block.hidden})"

    told = [" ".join(one(each)) for each in stacks[:MOST_TOLD]]
    return "; ".join(told) + ("; ..." if len(stacks) > MOST_TOLD else "")


def _told(names: Mapping[str, object]) -> str:
    return ", ".join(list(names)[:MOST_TOLD])
