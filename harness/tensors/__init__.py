"""Canonical tensors: their names, shapes and kinds, and the digits that their numbers have."""

from harness.tensors.structure import (
    GATE_NAMES,
    GATES,
    STATES,
    RecurrenceStructure,
    Shape,
    Structure,
    is_gradient,
    kind_of,
)

__all__ = ["GATES", "GATE_NAMES", "STATES", "RecurrenceStructure", "Shape", "Structure", "is_gradient", "kind_of"]
