"""The canonical names: ``layer0.W_xh``, ``layer0.reverse.W_xh``, with or without a path in front."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.checkpoint.base import Stored
from harness.checkpoint.naming.base import Block, Naming, TensorName, shaped, sized, whole
from harness.tensors import GATES, Shape

_NAME = re.compile(
    r"(?:(?P<path>.*)\.)?layer(?P<number>\d{1,5})\.(?P<reverse>reverse\.)?(?P<role>W_xh|W_hh|b_h|b_hn)", re.DOTALL
)
_OF_LAYER = re.compile(r"layer\d{1,5}\.")
_LINEAR = re.compile(r"(?P<path>(?:.*\.)?readout)\.(?P<role>W_hy|b_y)", re.DOTALL)


class SplitNaming(Naming):
    """The names of ``harness port --to npz``."""

    layout = "split"
    example = "layer0.W_xh, layer0.W_hh and layer0.b_h (the harness's own)"

    @override
    def parsed(self, name: str) -> TensorName | None:
        if (found := _NAME.fullmatch(name)) is None:
            return None
        return TensorName(found["path"] or "", found["role"], int(found["number"]), found["reverse"] is not None)

    @override
    def block(self, stored: Mapping[str, Stored], reset: str | None, called: Callable[[str], str]) -> Block | None:
        whole(stored, ("W_xh", "W_hh"), called)
        of_gates = {role: each for role, each in stored.items() if role != "b_hn"}
        found, I, H = sized(of_gates, ("W_xh", "W_hh"), called)
        shaped(stored, {"b_h": (GATES[found] * H,), "b_hn": (H,)}, called)
        if found != "gru":
            return Block(found, I, H)
        open_to_all = not {"b_h", "b_hn"} & stored.keys()
        return Block(found, I, H, "after" if "b_hn" in stored else (reset or "after") if open_to_all else "before")

    @override
    def beside(self, name: str, shape: Shape, path: str, block: Block, own: str) -> bool:
        before = f"{path}." if path else ""
        return name.startswith(before) and _OF_LAYER.match(name[len(before) :]) is not None

    @override
    def named(
        self, n: int, reverse: bool | None, block: Block, arrays: Mapping[str, ndarray], dtype: str
    ) -> dict[str, ndarray]:
        path = f"layer{n}.reverse" if reverse else f"layer{n}"
        none = {"b_h": np.zeros(arrays["W_xh"].shape[1], dtype)}
        if block.reset == "after":
            none["b_hn"] = np.zeros(block.hidden, dtype)
        return {f"{path}.{role}": array for role, array in (none | {**arrays}).items()}

    @override
    def linear(self, name: str) -> tuple[str, str] | None:
        found = _LINEAR.fullmatch(name)
        return None if found is None else (found["path"], found["role"])


NAMING = SplitNaming()
