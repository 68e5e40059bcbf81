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
        activation: of an rnn, if the file says.
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
        bidirectional: what the names of the two directions begin with in the layout; empty where a suffix says it.
    """

    layout: str

    @abstractmethod
    def part(self, name: str) -> Part | None:
        """Return what a name says; None if no recurrent layer has such a tensor."""

    @abstractmethod
    def block(self, stored: Mapping[str, Stored], cell: str | None) -> Block | None:
        """Return what tensors, by role, say of their layer; None if they are no recurrent layer's.

        Args:
            stored: the tensors.
            cell: which it is, where that is known.

        Raises:
            CheckpointRefused: if it is a layer that the harness has not, such as one with peepholes.
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


def cell_of(columns: int, hidden: int) -> str | None:
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
