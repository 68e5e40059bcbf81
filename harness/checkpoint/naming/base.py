"""The base of all namings: the parts of a tensor's name, and of the tensors of one direction of one layer."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from numpy import ndarray

from harness.checkpoint.base import CheckpointRefused, Stored
from harness.tensors import GATES, Shape

CELLS = {gates: cell for cell, gates in GATES.items()}
"""The cells by the number of their gates."""


@dataclass(frozen=True)
class TensorName:
    """The parts of a tensor's name.

    Attributes:
        path: of the layer, or of the stack if that numbers its layers.
        role: the framework's name for this tensor of the layer.
        number: of the layer in its stack; None if each layer has its own path.
        reverse: whether it is of the backward direction.
    """

    path: str
    role: str
    number: int | None = None
    reverse: bool = False


@dataclass(frozen=True)
class Block:
    """The cell and sizes of one direction of one layer, by the shapes of its tensors.

    Attributes:
        cell: a key of ``GATES``.
        input, hidden: its sizes.
        reset: of a gru.
        activation: of an rnn, if the file has a config.
    """

    cell: str
    input: int
    hidden: int
    reset: str | None = None
    activation: str | None = None


class Naming(ABC):
    """A framework's names for the tensors of a recurrent layer, and its shapes.

    Attributes:
        layout: the layout.
        example: accepted names, for a message.
        forget_bias: the bias that the framework's lstm adds to its forget gate at run time by default.
    """

    layout: str
    example: str
    forget_bias: float = 0.0

    @abstractmethod
    def parsed(self, name: str) -> TensorName | None:
        """Return a name in its parts; None if no recurrent layer has such a tensor."""

    @abstractmethod
    def block(self, stored: Mapping[str, Stored], reset: str | None, called: Callable[[str], str]) -> Block | None:
        """Return the cell and sizes of a layer from its tensors, by role; None if they are no recurrent layer's.

        Args:
            stored: the tensors.
            reset: of a gru, if neither names nor shapes show it; ``after`` unless given.
            called: returns the file's name of a role's tensor, or the name that it would have.

        Raises:
            CheckpointRefused: if the harness has no such layer, such as one with peepholes; if a tensor is
                missing, or has a shape that does not fit.
        """

    def sibling(self, name: str, own: str, role: str) -> str:
        """Return the name of another tensor of a layer.

        Args:
            name: a tensor's.
            own: its role.
            role: the other's role.
        """
        own, role = (each.rpartition(":")[2] for each in (own, role))
        before, _, behind = name.rpartition(own)
        return f"{before}{role}{behind}"

    @abstractmethod
    def beside(self, name: str, shape: Shape, path: str, block: Block, own: str) -> bool:
        """Return whether a tensor is inside a recurrent layer, or belongs to it by its name or its shape.

        Args:
            name: the tensor's.
            shape: the tensor's.
            path: of the layer, or of its stack.
            block: the layer's cell and sizes.
            own: a tensor of the layer.
        """

    @abstractmethod
    def named(
        self, n: int, reverse: bool | None, block: Block, arrays: Mapping[str, ndarray], dtype: str
    ) -> dict[str, ndarray]:
        """Return the tensors of one direction of layer n under the layout's names; missing biases are zero.

        Args:
            n: the layer's number in the stack.
            reverse: whether it is the backward direction; None if there is one direction.
            block: its sizes.
            arrays: its tensors by role.
            dtype: of the biases that are made.
        """

    @abstractmethod
    def linear(self, name: str) -> tuple[str, str] | None:
        """Return the path and the layout's name of a readout's weight or bias; None if it is neither by its name."""


def leads_to(folder: str, path: str, separator: str) -> bool:
    """Return whether a folder of names is a layer's, or around it, or within it."""
    first, second = (f"{each}{separator}" if each else "" for each in (folder, path))
    return first.startswith(second) or second.startswith(first)


def gated(columns: int, hidden: int) -> str | None:
    """Return the cell with gates of so many columns; None if there is none."""
    gates, rest = divmod(columns, hidden) if hidden else (0, 1)
    return None if rest else CELLS.get(gates)


class Incomplete(CheckpointRefused):
    """A recurrent layer lacks some of its tensors.

    Attributes:
        missing: the names that they would have.
        there: the names of the layer's other tensors.
    """

    def __init__(self, missing: Sequence[str], there: Collection[str], hint: str = "") -> None:
        problem = f"has no {' and no '.join(missing)}, which the layer of {', '.join(there)} needs"
        super().__init__(problem, hint)
        self.missing = missing
        self.there = there

    def among(self, names: Iterable[str], others: Collection[str]) -> CheckpointRefused:
        """Return the same with a hint: the tensors that may replace the missing ones, and the other files.

        Args:
            names: the names of all tensors of the file.
            others: the other files of its checkpoint.
        """
        leaves = [each.rpartition(".")[2] for each in self.missing]
        made_of = re.compile("|".join(rf"\b{re.escape(each)}[._](?!reverse$)" for each in leaves))
        if others:
            hint = f"its checkpoint continues in {', '.join(others)}"
        elif in_place := [name for name in names if made_of.search(name)]:
            hint = (
                f"it may be made of {', '.join(in_place[:4])}; save the matrix itself, without weight norm or the like"
            )
        else:
            hint = "save the layer whole"
        return Incomplete(self.missing, self.there, hint)


def whole(stored: Collection[str], roles: Collection[str], called: Callable[[str], str]) -> None:
    """Check that no tensor of a layer is missing.

    Raises:
        Incomplete: if one is.
    """
    if missing := [called(role) for role in roles if role not in stored]:
        raise Incomplete(missing, [called(role) for role in stored])


def sized(
    stored: Mapping[str, Stored], roles: tuple[str, str], called: Callable[[str], str], *, gates_first: bool = False
) -> tuple[str, int, int]:
    """Return the cell, I and H from the two matrices of a layer.

    Args:
        stored: the layer's tensors by role; all but the two matrices are biases.
        roles: the roles of the matrices of the inputs and of the state.
        called: returns the file's name of a role's tensor.
        gates_first: whether the layout has (G·H, I) and (G·H, H), and not (I, G·H) and (H, G·H).

    Raises:
        CheckpointRefused: if no cell has such matrices.
    """
    for role in roles:
        if len(stored[role].shape) != 2:
            raise CheckpointRefused(
                f"has {called(role)} of shape {stored[role].shape}, where a plain layer has a matrix"
            )
    readings = []
    for turned in ((False, False), (True, False), (False, True), (True, True)):
        (I, columns), (H, others) = (
            stored[role].shape[:: -1 if each != gates_first else 1] for role, each in zip(roles, turned, strict=True)
        )
        if columns == others and (cell := gated(columns, H)) is not None:
            readings.append((turned, columns, (cell, I, H)))
    if readings and not any(readings[0][0]):
        return readings[0][2]
    widths = {each.shape[-1] for role, each in stored.items() if role not in roles and each.shape}
    readings = [each for each in readings if not widths or each[1] in widths]
    fewest = [each for each in readings if sum(each[0]) == min(sum(turned) for turned, *_ in readings)]
    if len(fewest) == 1:
        wrong = [role for role, turned in zip(roles, fewest[0][0], strict=True) if turned]
        transposed = [
            f"{called(role)} of shape {stored[role].shape}, where {stored[role].shape[::-1]} fits" for role in wrong
        ]
        raise CheckpointRefused(f"has {' and '.join(transposed)}: transposed", "save it in its framework's shape")
    (first, of_first), (second, of_second) = ((called(role), stored[role].shape) for role in roles)
    had = "(G*H, I) and (G*H, H)" if gates_first else "(I, G*H) and (H, G*H)"
    raise CheckpointRefused(
        f"has {first} of shape {of_first} and {second} of shape {of_second}, which no rnn, gru or lstm has: "
        f"the shapes are {had}, with G of 1, 3 or 4"
    )


def shaped(stored: Mapping[str, Stored], wanted: Mapping[str, Shape], called: Callable[[str], str]) -> None:
    """Check the shapes of tensors.

    Raises:
        CheckpointRefused: if one has another.
    """
    for role, shape in wanted.items():
        if role in stored and stored[role].shape != shape:
            turned = ": transposed" if stored[role].shape[::-1] == shape else ""
            raise CheckpointRefused(
                f"has {called(role)} of shape {stored[role].shape}, where {shape} fits its other tensors{turned}"
            )
