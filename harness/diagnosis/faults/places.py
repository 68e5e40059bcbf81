"""The names of the nonlinearities in a cell: its gates, alone and together."""

from __future__ import annotations

from collections.abc import Iterator

from harness.problem import Problem

SIGMOIDS = frozenset("ifo" + "rz")
TANHS = frozenset("gcn")
GATE_WORDS = {
    "i": "the input gate",
    "f": "the forget gate",
    "g": "the candidate",
    "o": "the output gate",
    "r": "the reset gate",
    "z": "the update gate",
    "n": "the candidate",
}
"""The gates by their letters, in words."""

PLACES: dict[str, frozenset[str]] = {
    "the activation": frozenset("h"),
    "the input gate": frozenset("i"),
    "the forget gate": frozenset("f"),
    "the output gate": frozenset("o"),
    "the reset gate": frozenset("r"),
    "the update gate": frozenset("z"),
    "the candidate": frozenset("gn"),
    "tanh(c_t)": frozenset("c"),
    "the sigmoid gates": SIGMOIDS,
    "every gate": SIGMOIDS | frozenset("gn"),
    "every gate and tanh(c_t)": SIGMOIDS | TANHS,
    "the candidate and tanh(c_t)": frozenset("gc"),
}
"""Every place, and the gates there; c is the tanh that an lstm's cell passes on its way to the state."""

_OF_CELL = {
    "rnn": frozenset("h"),
    "lstm": frozenset("ifgoc"),
    "gru": frozenset("rzn"),
}


def places(problem: Problem, among: frozenset[str] | None = None) -> Iterator[str]:
    """Yield the places of a problem's cell, each once: all, or those with gates among ``among`` alone."""
    own, seen = _OF_CELL[problem.structure.cell], set()
    for place, everywhere in PLACES.items():
        here = everywhere & own
        if not here or here in seen or (among is not None and not here <= among):
            continue
        if ("tanh(c_t)" in place and "c" not in own) or (
            "every" not in place and "gates" not in place and here != everywhere & own
        ):
            continue
        seen.add(here)
        yield place
