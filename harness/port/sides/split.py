"""NumPy: ``.npz`` files with the canonical names, by ``numpy.load``; the hand-written reference computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.implementations import NUMPY
from harness.port.sides.base import Side
from harness.tensors import Structure


class SplitSide(Side):
    """``layer0.W_xh`` and so on."""

    name, to, layout, framework, implementation = "split", "npz", "split", NUMPY, "numpy-split"
    endings = (".npz",)

    @override
    def write(self, path: Path, weights: Mapping[str, ndarray], structure: Structure, activation: str) -> None:
        np.savez(path, **weights)  # type: ignore[arg-type]


SIDE = SplitSide()
