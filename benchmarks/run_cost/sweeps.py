"""The sweeps that are run, as case files."""

from __future__ import annotations

from dataclasses import dataclass

FILE = """\
about: Cases that differ in their inputs alone.
cell: {cell}
dtype: float32
sizes: {{batch: {B}, time: {T}, input: {I}, hidden: {H}}}
weights: {{uniform: [-0.125, 0.125], seed: 1}}
initial_state: {{normal: 0.5, seed: 3}}
loss: {{kind: squared_error}}
targets: {{normal: 1.0, seed: 5}}
sweep: {{inputs: [{inputs}]}}
"""


@dataclass(frozen=True)
class Sweep:
    """Cases that differ in their inputs alone.

    Attributes:
        cases: The number of cases.
        cell: rnn, lstm or gru.
        sizes: B, T, I, H.
    """

    cases: int
    cell: str
    sizes: tuple[int, int, int, int]

    @property
    def text(self) -> str:
        """Return the text of the case file."""
        inputs = ", ".join(f"{{normal: 1.0, seed: {seed}}}" for seed in range(self.cases))
        return FILE.format(cell=self.cell, inputs=inputs, **dict(zip("BTIH", self.sizes, strict=True)))

    @property
    def elements(self) -> int:
        """The number of elements of the inputs, as a measure of a case's tensors."""
        B, T, I, _ = self.sizes
        return B * T * I


TINY = ("rnn", (2, 4, 3, 5))
REAL = ("lstm", (8, 50, 32, 64))
"""A layer of a small model; three implementations compare some two hundred thousand elements."""

ALL_IMPLEMENTATIONS = "numpy-concat,torch,keras"
NUMPY_ALONE = "numpy-concat"

GROWING = {
    "cases": [Sweep(n, "rnn", (2, 4, 3, 5)) for n in (25, 50, 100, 200, 400)],
    "steps": [Sweep(5, "lstm", (16, T, 64, 64)) for T in (100, 200, 400, 800)],
    "elements": [Sweep(5, "lstm", (B, 100, 64, 64)) for B in (16, 32, 64, 128)],
}
"""Sweeps of growing size, by the size that grows. All are too large to be certified, whose cost is not linear."""
