"""Where a wrong gradient begins: the layer, the step and the gate where it is first off on its way back."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from harness.diagnosis.cells import Layer
from harness.diagnosis.evidence import Evidence
from harness.diagnosis.faults.places import GATE_WORDS


def gates_off(layer: Layer, block: str, weights: Collection[str], evidence: Evidence) -> tuple[str, ...]:
    """The gates of a layer in whose columns some of its weights' gradients are off."""
    found = set()
    for weight in weights:
        wrong = evidence.wrong(f"{block}.{weight}")
        if weight == "b_hn":
            found.add("n")
        else:
            found |= {gate for gate in layer.gates if layer.block(wrong, gate).any()}
    return tuple(gate for gate in layer.gates if gate in found)


def in_words(gates: Iterable[str]) -> str:
    """Name gates: "the input gate and the forget gate"."""
    *others, last = [GATE_WORDS[gate] for gate in gates]
    return f"{', '.join(others)} and {last}" if others else last
