"""Files to start from, copied as they are: a case, and an implementation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_FOLDER = Path(__file__).parent


WIDTH = 53
"""The column of the comments."""

CELLS = {
    "rnn": (("cell: rnn", "or lstm, gru"), ("activation: tanh", "or relu, sigmoid, identity")),
    "lstm": (("cell: lstm", "or rnn, gru; its states are layerN.h0 and layerN.c0"),),
    "gru": (
        ("cell: gru", "or rnn, lstm"),
        ("reset: after", "the reset gate after the product, as torch; or before"),
    ),
}
"""The lines of a case about its cell, with the comments on them."""


def case(cell: str = "rnn", sizes: Mapping[str, int] | None = None) -> str:
    """Return the text of a new case file of a cell, without its schema line.

    Args:
        cell: The cell.
        sizes: Of a recurrence, the sizes by name; None for rnn, lstm and gru.
    """
    if sizes is not None:
        listed = f"sizes: {{{', '.join(f'{name}: {size}' for name, size in sizes.items())}}}"
        text = (_FOLDER / "recurrence.yaml").read_text(encoding="utf-8").replace("{cell}", cell, 1)
        return text.replace("sizes: {sizes}", f"{listed:{WIDTH}}# let them all differ: equal sizes hide transposes", 1)
    text = (_FOLDER / "case.yaml").read_text(encoding="utf-8")
    return text.replace("{cell}", "\n".join(f"{line:{WIDTH}}# {comment}" for line, comment in CELLS[cell]), 1)


def implementation(cell: str = "rnn") -> str:
    """Return the text of a new implementation of a cell: ``my_<cell>.py`` of this folder, which is code under test."""
    return (_FOLDER / f"my_{cell}.py").read_text(encoding="utf-8")


def recurrence() -> str:
    """Return the text of a new recurrence with an implementation of it: ``my_recurrence.py`` of this folder."""
    return (_FOLDER / "my_recurrence.py").read_text(encoding="utf-8")
