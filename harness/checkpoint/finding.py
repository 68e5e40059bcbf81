"""The recurrent layers of a checkpoint: found by its config, or by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy import ndarray

from harness.casefile import nearest
from harness.checkpoint import leftovers
from harness.checkpoint.base import WIDER, CheckpointRefused, Stored, TensorFile, not_finite
from harness.checkpoint.cells import Cell, Stated, cell_of
from harness.checkpoint.formats import format_of
from harness.checkpoint.formats.shards import others
from harness.checkpoint.layers import TOP, Said, Stack, StoredLayer, ends_in, found_in, stacks_of
from harness.checkpoint.model import Model
from harness.checkpoint.naming import Block, Incomplete, Naming, namings

MOST_SHOWN = 12
"""Maximum of layers, or tensors, that a message lists."""


@dataclass(frozen=True, eq=False)
class Content:
    """The content of a checkpoint.

    Attributes:
        tensors: by name.
        layout: the layout of its format; empty if the format may have any.
        model: its config; None if it has weights alone.
        tensor_files: the files that have the tensors.
        others: the other files of the same checkpoint, which are not read, each with the source of its name.
    """

    tensors: Mapping[str, Stored]
    layout: str
    model: Model | None
    tensor_files: tuple[TensorFile, ...]
    others: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Recurrent:
    """The recurrent layers of a checkpoint that were chosen, one above another.

    Attributes:
        path: their path; with commas between if each has its own.
        layout: the layout of their tensors.
        layers: how many there are.
        block: the cell and sizes of the first one.
        directions: D, 2 if they are bidirectional.
        dtype: float64 if one of their tensors has it, else float32.
        names: for each layer and direction (None where there is one) the file's names of its tensors, by role.
        stored: every tensor of the file.
        cell: the cell of each layer.
        framework: the framework of the file's config, ``keras`` or ``tf_keras``; empty if it has weights alone.
        said: each layer's config; empty if the file has none.
        operations: the operations on tensors that the model has outside of its layers, by that config.
        tensor_files: the files that have the tensors.
        ignored: the names that are skipped, since the user accepts them.
    """

    path: str
    layout: str
    layers: int
    block: Block
    directions: int
    dtype: str
    names: Mapping[tuple[int, bool | None], Mapping[str, str]]
    stored: Mapping[str, Stored]
    cell: Cell
    framework: str
    said: tuple[Said, ...]
    operations: tuple[str, ...]
    tensor_files: tuple[TensorFile, ...]
    ignored: tuple[str, ...]

    @property
    def remarks(self) -> Iterator[str]:
        """Yield remarks on the layers besides their numbers, a line each; the cell first."""
        if self.framework:
            yield f"its config says: {self.cell}"
        else:
            both = ", merge_mode concat" if self.layout == "keras" and self.directions == 2 else ""
            options = {"rnn": "--activation"}
            if self.naming.forget_bias:
                options["lstm"] = "--forget-bias"
            option = options.get(self.block.cell)
            other = f"{option} states another" if option else "the harness has no other for these tensors"
            yield f"assumed, because weights alone do not show it: {self.cell}{both}; {other}"
        for each in self.said:
            yield from each.inert
        for each in self.said[1:]:  # the source of the first one is no part of the port
            for name in each.through:
                between = f"{'/'.join(each.names)} reads {each.reads} through {name}"
                yield f"{between}, which acts in training alone; the port has none"
        if self.operations:
            yield f"its model has the operations {_listed(self.operations)}, which are no part of the port"
        if self.ignored:
            yield f"skipped by --ignore: {', '.join(self.ignored)}"

    @property
    def naming(self) -> Naming:
        """The naming of the layout."""
        return namings()[self.layout]

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return _numbers([self.stored[name] for names in self.names.values() for name in names.values()])

    def tensors(self, output: int | None = None, readout: str | None = None) -> dict[str, ndarray]:
        """Read the numbers, under the layout's names; missing biases are zero.

        Args:
            output: the width of a readout, to read it, too.
            readout: its path; if not given, it is the one that fits.

        Raises:
            CheckpointRefused: if they cannot be read, or are not finite, or if no such readout exists.
        """
        found: dict[str, ndarray] = {}
        for (n, reverse), names in self.names.items():
            arrays = {role: self._read(name).astype(self.dtype) for role, name in names.items()}
            found |= self.naming.named(n, reverse, self.block, arrays, self.dtype)
        if output is not None:
            found |= {name: self._read(own) for name, own in self.readout(output, readout).items()}
        return found

    def _read(self, name: str) -> ndarray:
        array = self.stored[name].read()
        if wrong := not_finite(name, array):
            raise CheckpointRefused(wrong, "a diverged training leaves such weights")
        return array

    def readout(self, width: int, path: str | None) -> dict[str, str]:
        """Return the file's names of the readout's weight and bias, by the layout's names of them.

        Args:
            width: of the outputs.
            path: its path; if not given, it is the one that fits.

        Raises:
            CheckpointRefused: if none fits, or several do.
        """
        own = {name for names in self.names.values() for name in names.values()}
        return _readout(self.stored, self.naming, own, self.directions * self.block.hidden, width, path)


def opened(path: Path) -> Content:
    """Return the content of a checkpoint.

    Raises:
        CheckpointRefused: if it cannot be read.
    """
    file_format = format_of(path)
    for file in file_format.files(path):
        if not file.is_file():
            if file.exists():
                raise CheckpointRefused("is no file")
            beside = f"there is no {file.name} beside it" if path.exists() else f"there is no {file.name}"
            raise CheckpointRefused(beside if path.exists() else f"does not exist: {beside}")
    try:
        tensors = file_format.tensors(path)
        model = file_format.model(path, tensors)
        return Content(tensors, file_format.layout, model, tuple(file_format.tensor_files(path)), others(path))
    except OSError as error:
        raise CheckpointRefused(f"cannot be read: {error.strerror or error}") from None


def find(
    path: Path,
    layer: str | None = None,
    stated: Stated | None = None,
    ignored: Collection[str] = (),
    output: int | None = None,
    readout: str | None = None,
) -> Recurrent:
    """Find recurrent layers in a checkpoint.

    Args:
        path: the file.
        layer: the path of the layers, or its end; or several paths, from the inputs up, with commas between. If not
            given, the file must have one stack of layers.
        stated: the user's statements about them; a layout that is not stated follows from the format or the names.
        ignored: the names beside the layers that the user accepts.
        output: the width of a readout, if one is wanted.
        readout: its path; if not given, it is the one that fits.

    Raises:
        CheckpointRefused: if it cannot be read, if it has no such layer, or several, or if the harness has no such
            layer.
    """
    content, stated = opened(path), stated or Stated()
    layout = stated.layout
    if content.model is not None:
        if layout not in (None, "keras"):
            raise CheckpointRefused(f"has no recurrent layer in the layout {layout}", "it is Keras' own", "layout")
        found = list(content.model.layers)
    else:
        tried = [layout] if layout else [content.layout] if content.layout else list(namings())
        found = [each for name in tried for each in found_in(content.tensors, namings()[name], stated.reset)]
    stacks = stacks_of(found)
    if not stacks:
        raise _nothing(content, layout)
    operations = () if content.model is None else content.model.operations
    stack = _checked(_chosen(stacks, found, layer, operations), content)
    used = {name for each in stack.layers for names in each.names.values() for name in names.values()}
    first = stack.layers[0]
    assert first.block is not None
    naming = namings()[first.layout]
    if output is not None:
        state = first.directions * first.block.hidden
        used |= set(_readout(content.tensors, naming, used, state, output, readout).values())
    passed_over = leftovers.refuse(stack, content.tensors, content.others, used, ignored)
    return _settled(
        stack, content, cell_of(first.block, naming.forget_bias, content.model is not None, stated), passed_over
    )


def _nothing(content: Content, layout: str | None) -> CheckpointRefused:
    """Return the refusal of a file without a recurrent layer: its content, and names that would be found."""
    if content.model is not None:
        return CheckpointRefused(
            "has no recurrent layer: its config names no SimpleRNN, LSTM, GRU or RNN of their cells"
        )
    tried = [layout] if layout else [content.layout] if content.layout else list(namings())
    there = ", ".join(f"{name} {each.shape}" for name, each in list(content.tensors.items())[:MOST_SHOWN]) or "nothing"
    more = f" and {len(content.tensors) - MOST_SHOWN} more" if len(content.tensors) > MOST_SHOWN else ""
    elsewhere = f"; its checkpoint continues in {', '.join(content.others)}" if content.others else ""
    of_layout = f" in the layout {layout}" if layout else ""
    would_do = "; ".join(namings()[each].example for each in tried)
    return CheckpointRefused(
        f"has no recurrent layer{of_layout} by the names and shapes of its tensors",
        f"accepted names, below any path: {would_do}; it has {there}{more}{elsewhere}",
        "layout" if layout else "checkpoint",
    )


def _chosen(
    stacks: Sequence[Stack], layers: Sequence[StoredLayer], wanted: str | None, operations: Sequence[str]
) -> Stack:
    if wanted is None:
        if len(stacks) == 1:
            return stacks[0]
        if all(layer.refused is not None for each in stacks for layer in each.layers):
            return stacks[0]
        problem = f"has {len(stacks)} recurrent layers without a known order"
        if operations:
            problem += f"; its model has the operations {_listed(operations)}, which no port represents"
        choose = "choose one by layer, or several in order, from the inputs up, with commas between"
        raise CheckpointRefused(problem, f"{choose}: {_described(stacks)}", "layer")
    whole = [each for each in stacks if each.path == ("" if wanted == TOP else wanted)]
    whole = whole or [each for each in stacks if all(layer.is_called(wanted) for layer in each.layers)]
    if len(whole) == 1:
        return whole[0]
    chosen: list[StoredLayer] = []
    for each in (part.strip() for part in wanted.split(",")):
        matched = dict.fromkeys(layer.path for layer in layers if layer.is_called(each))
        if exact := [path for path in matched if path == ("" if each == TOP else each)]:
            matched = dict.fromkeys(exact)
        if len(matched) != 1:
            problem = f"has {len(matched) or 'no'} recurrent layer{'s' * (len(matched) > 1)} {each!r}"
            hint = "" if matched else nearest(each, [layer.path or TOP for layer in layers])
            several = [Stack((layer,)) for layer in layers if layer.path in matched] or stacks
            raise CheckpointRefused(problem, hint or f"it has {_described(several)}", "layer")
        (path,) = matched
        chosen += [layer for layer in layers if layer.path == path]
    return Stack(tuple(chosen))


def _checked(stack: Stack, content: Content) -> Stack:
    """Return the layers of one network with weights that can be read.

    Raises:
        CheckpointRefused: if they are not one, or have others.
    """
    for each in stack.layers:
        if isinstance(each.refused, Incomplete):
            raise each.refused.among(content.tensors, content.others)
        if each.refused is not None:
            raise each.refused
    if wrong := stack.why_not():
        raise CheckpointRefused(wrong, "", "layer")
    for name in (name for each in stack.layers for names in each.names.values() for name in names.values()):
        if (dtype := content.tensors[name].dtype) not in WIDER:
            raise CheckpointRefused(f"has {name} of dtype {dtype}", f"weights are of {', '.join(WIDER)}")
    return stack


def _settled(stack: Stack, content: Content, cell: Cell, ignored: tuple[str, ...]) -> Recurrent:
    names = {
        (n, None if each.directions == 1 else reverse): names
        for n, each in enumerate(stack.layers)
        for reverse, names in each.names.items()
    }
    used = [content.tensors[name] for each in names.values() for name in each.values()]
    first = stack.layers[0]
    assert first.block is not None
    return Recurrent(
        path=stack.path or TOP,
        layout=first.layout,
        layers=len(stack.layers),
        block=first.block,
        directions=first.directions,
        dtype="float64" if any(each.dtype == "float64" for each in used) else "float32",
        names=names,
        stored=content.tensors,
        cell=cell,
        framework="" if content.model is None else content.model.framework,
        said=tuple(each.said for each in stack.layers if each.said is not None),
        operations=() if content.model is None else content.model.operations,
        tensor_files=content.tensor_files,
        ignored=ignored,
    )


def _readout(
    stored: Mapping[str, Stored], naming: Naming, own: Collection[str], state: int, width: int, path: str | None
) -> dict[str, str]:
    shapes = {(state, width), (width, state)} if naming.layout != "torch" else {(width, state)}
    linear: dict[str, dict[str, str]] = {}
    for name in stored.keys() - set(own):
        if (said := naming.linear(name)) is not None:
            linear.setdefault(said[0], {})[f"readout.{said[1]}"] = name
    fitting = {}
    for each, names in linear.items():
        found = {stored[name].shape for name in names.values()}
        if len(names) == 2 and len(found) == 2 and (width,) in found and found & shapes:
            fitting[each] = names
    if path is not None:
        if len(chosen := [each for each in fitting if ends_in(each, path)]) == 1:
            return fitting[chosen[0]]
        hint = nearest(path, fitting) or (f"there are {_listed(fitting)}" if fitting else "")
        raise CheckpointRefused(f"has no readout {path!r} from {state} to {width} with a bias", hint, "readout")
    if len(fitting) != 1:
        problem = f"has {len(fitting)} linear layers from {state} to {width} with a bias, for the readout"
        raise CheckpointRefused(problem, f"choose one by readout: {_listed(fitting)}" if fitting else "", "readout")
    return next(iter(fitting.values()))


def _numbers(stored: list[Stored]) -> int:
    total = 0
    for each in stored:
        count = 1
        for size in each.shape:
            count *= size
        total += count
    return total


def _described(stacks: Sequence[Stack]) -> str:
    def one(stack: Stack) -> Iterator[str]:
        yield stack.path or TOP
        block = stack.layers[0].block
        if block is not None:
            yield f"({block.cell}, {block.input} to {block.hidden})"
        elif (refused := stack.layers[0].refused) is not None:
            yield f"({refused.problem})"

    shown = [" ".join(one(each)) for each in stacks[:MOST_SHOWN]]
    return "; ".join(shown) + ("; ..." if len(stacks) > MOST_SHOWN else "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:MOST_SHOWN])
