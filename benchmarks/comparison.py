"""The comparison of two large tensors: its bytes per second, next to those of reading, and its additional memory.

    make comparison-benchmark      writes the table of docs/speed-of-a-run.md

The tensors are normal numbers, one of them with rounding noise, so that they match. Reading is ``np.add.reduce`` over
both. All calls run in one process with one thread, in turn; the time is the least processor time of several. Memory is
measured by tracemalloc, to which NumPy reports its arrays. Pieces are the calls of ``harness.comparison.screening``,
repeated over one chunk.
"""

# ruff: noqa: E402 - the number of threads must be set before NumPy is imported

from __future__ import annotations

import argparse
import os
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np
from numpy import ndarray

from benchmarks.pages import put, table
from harness.comparison import compare
from harness.comparison.metrics import CHUNK

PAGE = Path(__file__).parents[1] / "docs" / "speed-of-a-run.md"
REPEATED = 5


def pair(size: int, dtype: str) -> tuple[ndarray, ndarray]:
    """Return two tensors that differ by a few roundings of their largest elements."""
    random = np.random.default_rng(0)
    expected = random.standard_normal(size, dtype=dtype)  # type: ignore[arg-type]
    actual = random.standard_normal(size, dtype=dtype)  # type: ignore[arg-type]
    actual *= 2 * np.finfo(dtype).eps
    actual += expected
    return actual, expected


def least(calls: Mapping[str, Callable[[], Any]], repeated: int = REPEATED) -> dict[str, float]:
    """Return the least processor seconds of each call, all of them in turn."""
    found = dict.fromkeys(calls, float("inf"))
    for _ in range(repeated):
        for name, call in calls.items():
            start = time.process_time()
            call()
            found[name] = min(found[name], time.process_time() - start)
    return found


def compared(actual: ndarray, expected: ndarray) -> Any:
    """Compare like a run."""
    found = compare({"layer0.W_hh": actual}, {"layer0.W_hh": expected})
    assert found.matches, found
    return found


def peak(actual: ndarray, expected: ndarray) -> int:
    """Return the number of bytes that a comparison needs beyond the two tensors."""
    tracemalloc.start()
    compared(actual, expected)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def row(size: int, dtype: str) -> list[str]:
    """Measure one size; return its row."""
    actual, expected = pair(size, dtype)
    found = least(
        {
            "read": lambda: (np.add.reduce(actual), np.add.reduce(expected)),
            "compare": lambda: compared(actual, expected),
        }
    )
    gigabytes = (actual.nbytes + expected.nbytes) / 1e9
    return [
        f"{size:,}",
        dtype,
        f"{gigabytes / found['read']:.1f}",
        f"{gigabytes / found['compare']:.1f}",
        f"{found['read'] / found['compare']:.2f}",
        f"{peak(actual, expected) / 1e6:.1f}",
    ]


def pieces(dtype: str) -> list[str]:
    """Return the time of each call of the screen, in picoseconds per element of a chunk that is in the cache."""
    actual, expected = pair(CHUNK, dtype)
    scratch = np.empty_like(actual)
    calls: dict[str, Callable[[], Any]] = {
        "read both": lambda: (np.add.reduce(actual), np.add.reduce(expected)),
        "subtract": lambda: np.subtract(actual, expected, out=scratch),
        "abs": lambda: np.abs(actual, out=scratch),
        "max": lambda: actual.max(),
        "min": lambda: actual.min(),
    }
    found = least({name: lambda call=call: [call() for _ in range(100)] for name, call in calls.items()})  # type: ignore[misc]
    return [dtype, *(f"{seconds / 100 / CHUNK * 1e12:.0f}" for seconds in found.values())]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="*", default=[1e6, 1e7, 1e8], help="elements")
    chosen = parser.parse_args(arguments)
    head = ["elements", "dtype", "read, GB/s", "compared, GB/s", "compared / read", "memory beyond, MB"]
    sizes = table(head, [row(int(size), dtype) for size in chosen.sizes for dtype in ("float32", "float64")])
    calls = table(
        ["in the cache, ps an element", "read both", "subtract", "abs", "max", "min"],
        [pieces(dtype) for dtype in ("float32", "float64")],
    )
    put(PAGE, "comparison", f"{sizes}\n\n{calls}")
    print(PAGE)


if __name__ == "__main__":
    main()
