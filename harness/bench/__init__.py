"""The speed of implementations, side by side in one run: results are compared first, then passes are timed in turn."""

from harness.bench.contestants import Contestant, contestants
from harness.bench.points import CELLS, DTYPES, GRID, QUICK, Point, grid
from harness.bench.running import Bench, Figures, bench

__all__ = [
    "CELLS",
    "DTYPES",
    "GRID",
    "QUICK",
    "Bench",
    "Contestant",
    "Figures",
    "Point",
    "bench",
    "contestants",
    "grid",
]
