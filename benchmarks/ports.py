"""The worst error of a port, for every pair of formats and every cell that both have.

``python -m benchmarks.ports`` prints Markdown tables. The network has two layers in both directions, from 6 to 9, with
weights from N(0, 1/3). An error is that of the loss, the outputs or a gradient, relative to the tensor's largest
element. The table also has the worst error ratio; a ratio above 1 would be a mismatch.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.checkpoint import CheckpointRefused
from harness.execution.session import CaseOutcome
from harness.port import planned, port
from harness.port.proof import ORIGINAL, PORTED, Porters
from harness.port.sides import sides
from harness.tensors import Structure

FORMATS = {
    "torch `.pt`": ("torch", "m.pt"),
    "torch `.safetensors`": ("torch", "m.safetensors"),
    "Keras `.keras`": ("keras", "m.keras"),
    "Keras `.weights.h5`": ("keras", "m.weights.h5"),
    "TensorFlow 1": ("tf1", "m.index"),
    "`.npz`": ("npz", "m.npz"),
}
LAYOUTS = {"npz": "split"}
"""The layouts with another name after ``--to``."""

CELLS = (("rnn", "after"), ("lstm", "after"), ("gru", "after"), ("gru", "before"))
DTYPES = ("float32", "float64")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each cell and dtype."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtypes", nargs="*", default=DTYPES)
    chosen = parser.parse_args(arguments)
    with Porters() as porters:
        for cell, reset in CELLS:
            for dtype in chosen.dtypes:
                title = f"{cell}, reset {reset}" if cell == "gru" else cell
                print(
                    f"\n### {title}, {dtype}\n\n| from, to | {' | '.join(FORMATS)} |\n|{' --- |' * (len(FORMATS) + 1)}"
                )
                structure = Structure(cell, 2, 1, 1, 6, 9, None, reset, 2)
                with tempfile.TemporaryDirectory() as folder:
                    table(Path(folder), structure, dtype, porters)


def table(folder: Path, structure: Structure, dtype: str, porters: Porters) -> None:
    """Print the rows of one network."""
    random = np.random.default_rng(7)
    first = folder / "first.npz"
    weights = {name: random.normal(0, 1 / 3, shape).astype(dtype) for name, shape in structure.weights.items()}
    np.savez(first, **weights)  # type: ignore[arg-type]
    for number, (name, (to, source_name)) in enumerate(FORMATS.items()):
        (place := folder / f"from{number}").mkdir()
        try:
            ported(first, to, place / source_name, porters)
            layer = sides()[LAYOUTS.get(to, to)].layer_in(place / source_name, structure)
        except CheckpointRefused:
            print(f"| {name} |{' cannot be |' * len(FORMATS)}", flush=True)
            continue
        cells = []
        for other, (of, target_name) in enumerate(FORMATS.values()):
            (goal := place / f"to{other}").mkdir()
            try:
                cells.append(ported(place / source_name, of, goal / target_name, porters, layer))
            except CheckpointRefused:
                cells.append("cannot be")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def ported(source: Path, to: str, target: Path, porters: Porters, layer: str | None = None) -> str:
    """Port a file; return the worst error and the worst error ratio."""
    kept: list[CaseOutcome] = []

    def keep(outcome: CaseOutcome) -> str:
        kept.append(outcome)
        return ""

    done = port(planned(source, to, target, layer=layer), porters, keep)
    assert done.files, done.run.outcomes
    (outcome,) = kept
    assert outcome.numbers is not None
    results = outcome.numbers.results
    error = max(
        float(np.abs(results[PORTED].tensors[name] - expected).max() / np.abs(expected).max())
        for name, expected in results[ORIGINAL].tensors.items()
    )
    (judged,) = (each for each in outcome.judged if each.implementation == PORTED)
    assert judged.comparison is not None
    ratio = max(each.metrics.error_ratio for each in judged.comparison.tensors if each.metrics is not None)
    return f"{error:.1e} ({ratio:.2g})" if error else "0"


if __name__ == "__main__":
    main()
