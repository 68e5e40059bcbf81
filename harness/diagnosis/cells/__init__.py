"""The recurrent layers of each cell in parts: each term of the mathematics is a method, which a fault overrides."""

from __future__ import annotations

from harness.diagnosis.cells.gru import GruAfterLayer, GruBeforeLayer, GruLayer
from harness.diagnosis.cells.layer import BackwardRecursion, CellLayer, summed_products
from harness.diagnosis.cells.lstm import LstmLayer
from harness.diagnosis.cells.rnn import RnnLayer
from harness.tensors import Structure

__all__ = [
    "BackwardRecursion",
    "CellLayer",
    "GruAfterLayer",
    "GruBeforeLayer",
    "GruLayer",
    "LstmLayer",
    "RnnLayer",
    "layer_kind",
    "summed_products",
]

_KINDS: dict[tuple[str, str], type[CellLayer]] = {
    ("gru", "after"): GruAfterLayer,
    ("gru", "before"): GruBeforeLayer,
}
_WITHOUT_RESET: dict[str, type[CellLayer]] = {"rnn": RnnLayer, "lstm": LstmLayer}


def layer_kind(structure: Structure) -> type[CellLayer]:
    """Return the class of a structure's layers without a fault."""
    return _WITHOUT_RESET.get(structure.cell) or _KINDS[structure.cell, structure.reset]
