"""The canonical names: ``layer0.W_xh``, ``layer0.reverse.W_xh``, with or without something in front."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.checkpoint.base import Stored
from harness.checkpoint.naming.base import Block, Naming, Part, cell_of, shaped

_NAME = re.compile(
    r"(?:(?P<path>.*)\.)?layer(?P<number>\d{1,5})\.(?P<reverse>reverse\.)?(?P<role>W_xh|W_hh|b_h|b_hn)", re.DOTALL
)
_LINEAR = re.compile(r"(?P<path>(?:.*\.)?readout)\.(?P<role>W_hy|b_y)", re.DOTALL)


class Split(Naming):
    """What ``harness port --to npz`` writes."""

    layout = "split"

    @override
    def part(self, name: str) -> Part | None:
        if (found := _NAME.fullmatch(name)) is None:
            return None
        return Part(found["path"] or "", found["role"], int(found["number"]), found["reverse"] is not None)

    @override
    def block(self, stored: Mapping[str, Stored], cell: str | None) -> Block | None:
        matrix, recurrent = stored.get("W_xh"), stored.get("W_hh")
        if matrix is None or recurrent is None or len(matrix.shape) != 2 or len(recurrent.shape) != 2:
            return None
        (I, columns), (H, _) = matrix.shape, recurrent.shape
        if (found := cell_of(columns, H)) is None:
            return None
        shaped(stored, {"W_hh": (H, columns), "b_h": (columns,), "b_hn": (H,)}, "a layer")
        return Block(found, I, H, ("after" if "b_hn" in stored else "before") if found == "gru" else None)

    @override
    def named(
        self, n: int, reverse: bool | None, block: Block, arrays: Mapping[str, ndarray], dtype: str
    ) -> dict[str, ndarray]:
        path = f"layer{n}.reverse" if reverse else f"layer{n}"
        none = np.zeros(arrays["W_xh"].shape[1], dtype)
        return {f"{path}.{role}": array for role, array in ({"b_h": none} | {**arrays}).items()}

    @override
    def linear(self, name: str) -> tuple[str, str] | None:
        found = _LINEAR.fullmatch(name)
        return None if found is None else (found["path"], found["role"])


NAMING = Split()
