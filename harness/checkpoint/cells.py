"""The cell of a recurrent layer: from its file, from the user, or by assumption.

Weights do not show it: the same tensors are an lstm with tanh or with relu. The file of a whole model has a config with
the cell. A file of weights alone has none: the usual cell is assumed, and a remark reports the assumption.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from harness.checkpoint.naming import Block

USUAL = {"activation": "tanh", "recurrent_activation": "sigmoid"}
"""The assumed activations, the only ones that the harness has in an lstm and a gru."""

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
"""The activations of an rnn that the harness has."""


@dataclass(frozen=True)
class Stated:
    """The statements of the user about a file's layers; None for the file's own.

    Attributes:
        cell: rnn, gru or lstm.
        activation: of the candidate, or of an rnn's state.
        recurrent_activation: of the gates.
        forget_bias: the bias that TensorFlow 1's lstm adds to its forget gate at run time.
        reset: of a gru, before or after the recurrent product.
        layout: of the tensors.
    """

    cell: str | None = None
    activation: str | None = None
    recurrent_activation: str | None = None
    forget_bias: float | None = None
    reset: str | None = None
    layout: str | None = None


@dataclass(frozen=True)
class Cell:
    """The computation of each layer of a network at a step.

    Attributes:
        cell: a key of ``harness.tensors.GATES``.
        activation: of the candidate, or of an rnn's state.
        recurrent_activation: of the gates; None for an rnn.
        forget_bias: the bias of an lstm's forget gate besides the stored bias; None for other cells.
        reset: of a gru; None for other cells.
        said: whether it is from the file's config; else it is assumed, or stated by the user.
    """

    cell: str
    activation: str
    recurrent_activation: str | None
    forget_bias: float | None
    reset: str | None
    said: bool

    def __str__(self) -> str:
        """Write it for a reader: ``lstm with activation tanh, recurrent activation sigmoid, forget bias 1``."""
        parts = [f"activation {self.activation}"]
        if self.recurrent_activation is not None:
            parts.append(f"recurrent activation {self.recurrent_activation}")
        if self.forget_bias:
            parts.append(f"forget bias {self.forget_bias:g} added at run time")
        if self.reset is not None:
            parts.append(f"reset {self.reset} the product")
        return f"{self.cell} with {', '.join(parts)}"


def cell_of(block: Block, usual_forget_bias: float, said: bool, stated: Stated) -> Cell:
    """Return the cell of a layer: from its file, then from the user as far as the file allows, then by assumption.

    Args:
        block: the file's part.
        usual_forget_bias: the forget bias that the framework's lstm adds by default.
        said: whether the file has a config.
        stated: the user's statements; ``contradictions`` finds those that contradict the file.
    """
    forget_bias = None
    if block.cell == "lstm":
        forget_bias = usual_forget_bias
        if usual_forget_bias and stated.forget_bias is not None:
            forget_bias = stated.forget_bias
    activation = USUAL["activation"]
    if block.cell == "rnn":
        activation = block.activation or stated.activation or activation
    gates = None if block.cell == "rnn" else USUAL["recurrent_activation"]
    return Cell(block.cell, activation, gates, forget_bias, block.reset, said)


def contradictions(cell: Cell, stated: Stated) -> Iterator[tuple[str, Any, str]]:
    """Yield the impossible statements: the field, the stated value, and the reason."""
    for each in fields(Stated):
        if each.name == "layout":  # of the file, not of its cell
            continue
        value, there = getattr(stated, each.name), getattr(cell, each.name)
        if value is None or value == there:
            continue
        if there is None:
            why = f"{_a(cell.cell)} has none"
        elif each.name in USUAL and cell.cell != "rnn":
            why = f"the harness has {there} alone in {_a(cell.cell)}"
        elif each.name == "forget_bias":
            why = "TensorFlow 1's lstm alone adds one at run time"
        else:
            source = "its config says" if cell.said else "its tensors say"
            why = f"{source} {there}"
        yield each.name, value, why


def _a(cell: str) -> str:
    return f"a {cell}" if cell == "gru" else f"an {cell}"
