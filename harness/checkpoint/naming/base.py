"""What a name says of a tensor, and what the tensors of one direction of one layer say of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from numpy import ndarray

from harness.checkpoint.base import CheckpointRefused, Stored
from harness.tensors import GATES, Shape

CELLS = {gates: cell for cell, gates in GATES.items()}
"""The cells by the number of their gates."""


@dataclass(frozen=True)
class Part:
    """What a tensor's name says of it.

    Attributes:
        path: of the layer; of the stack, where that numbers its layers.
        role: which of the layer's tensors it is, as the framework calls it.
        number: of the layer in its stack; None where each layer has a path of its own.
        reverse: whether it is of the backward direction.
    """

    path: str
    role: str
    number: int | None = None
    reverse: bool = False


@dataclass(frozen=True)
class Block:
    """What the shapes of one direction of one layer say.

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
    """How a framework names the tensors of a recurrent layer, and holds them.

    Attributes:
        layout: the layout.
        example: names that would do, for a message.
        forget_bias: what the framework's lstm adds to its forget gate at run time, unless told otherwise.
    """

    layout: str
    example: str
    forget_bias: float = 0.0

    @abstractmethod
    def part(self, name: str) -> Part | None:
        """Return what a name says; None if no recurrent layer has such a tensor."""

    @abstractmethod
    def block(self, stored: Mapping[str, Stored], reset: str | None) -> Block | None:
        """Return what tensors, by role, say of their layer; None if they are no recurrent layer's.

        Args:
            stored: the tensors.
            reset: of a gru, where neither names nor shapes say it; ``after`` unless given.

        Raises:
            CheckpointRefused: if it is a layer that the harness has not, such as one with peepholes.
        """

    @abstractmethod
    def beside(self, name: str, shape: Shape, path: str, block: Block, own: str) -> bool:
        """Return whether a tensor stands in a recurrent layer, or belongs to it by its name or its shape.

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
        """Return the tensors of one direction of layer n under the layout's names; biases that are not there are zero.

        Args:
            n: which layer of the stack.
            reverse: whether it is the backward direction; None if there is one direction.
            block: its sizes.
            arrays: its tensors by role.
            dtype: of the biases that are made.
        """

    @abstractmethod
    def linear(self, name: str) -> tuple[str, str] | None:
        """Return the path and the layout's name of a readout's weight or bias; None if it is neither by its name."""


def leads_to(folder: str, path: str, separator: str) -> bool:
    """Return whether a folder of names is a layer's, or one of those around it, or one within it."""
    first, second = (f"{each}{separator}" if each else "" for each in (folder, path))
    return first.startswith(second) or second.startswith(first)


def gated(columns: int, hidden: int) -> str | None:
    """Return the cell whose gates have so many columns; None if there is none."""
    gates, rest = divmod(columns, hidden) if hidden else (0, 1)
    return None if rest else CELLS.get(gates)


def shaped(stored: Mapping[str, Stored], wanted: Mapping[str, Shape], path_of: str) -> None:
    """Make sure that tensors have their shapes.

    Raises:
        CheckpointRefused: if one has another.
    """
    for role, shape in wanted.items():
        if role in stored and stored[role].shape != shape:
            problem = f"has {path_of} with {role} of shape {stored[role].shape}, where {shape} fits its other tensors"
            raise CheckpointRefused(problem)
