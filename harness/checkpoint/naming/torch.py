"""torch: ``encoder.rnn.weight_ih_l0``, ``…_reverse``; for a single cell ``encoder.cell.weight_ih``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.checkpoint.base import CheckpointRefused, Stored
from harness.checkpoint.naming.base import Block, Naming, TensorName, leads_to, shaped, sized, whole
from harness.tensors import GATES, Shape

_NAME = re.compile(
    r"(?:(?P<path>.*)\.)?(?P<role>weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)(?:_l(?P<number>\d{1,5})(?P<reverse>_reverse)?)?",
    re.DOTALL,
)
_KIN = re.compile(r"(weight|bias)_(ih|hh|hr)")
"""The beginning of names that belong to a recurrent layer: ``weight_hh_l0_raw`` of weight drop is outside of it."""

_LINEAR = re.compile(r"(?P<path>.*)\.(?P<role>weight|bias)", re.DOTALL)


class TorchNaming(Naming):
    """nn.RNN, nn.LSTM and nn.GRU, and their cells."""

    layout = "torch"
    example = "weight_ih_l0 and weight_hh_l0 (torch)"

    @override
    def parsed(self, name: str) -> TensorName | None:
        if (found := _NAME.fullmatch(name)) is None:
            return None
        return TensorName(found["path"] or "", found["role"], int(found["number"] or 0), found["reverse"] is not None)

    @override
    def block(self, stored: Mapping[str, Stored], reset: str | None, called: Callable[[str], str]) -> Block | None:
        if "weight_hr" in stored:
            raise CheckpointRefused("has an lstm with proj_size (weight_hr), which the harness does not have")
        biases = ("bias_ih", "bias_hh")
        whole(stored, ("weight_ih", "weight_hh"), called)
        found, I, H = sized(stored, ("weight_ih", "weight_hh"), called, gates_first=True)
        if any(each in stored for each in biases):  # torch has both or none
            whole(stored, biases, called)
        shaped(stored, dict.fromkeys(biases, (GATES[found] * H,)), called)
        return Block(found, I, H, "after" if found == "gru" else None)

    @override
    def beside(self, name: str, shape: Shape, path: str, block: Block, own: str) -> bool:
        folder, _, leaf = name.rpartition(".")
        if name.startswith(f"{path}." if path else ""):
            return True
        if _KIN.match(leaf) is not None:
            return leads_to(folder, path, ".")
        # A cell written around this one: its own vectors are peepholes or scales, a norm of G*H is one of the gates.
        around, width = path.rpartition(".")[0], GATES[block.cell] * block.hidden
        if folder == around:
            return len(shape) == 1 and shape[0] % block.hidden == 0
        is_norm = leaf == "weight" and shape == (width,) and width > block.hidden
        return is_norm and folder.rpartition(".")[0] == around

    @override
    def named(
        self, n: int, reverse: bool | None, block: Block, arrays: Mapping[str, ndarray], dtype: str
    ) -> dict[str, ndarray]:
        suffix = f"_l{n}_reverse" if reverse else f"_l{n}"
        none = np.zeros(len(arrays["weight_ih"]), dtype)
        return {f"{role}{suffix}": array for role, array in ({"bias_ih": none, "bias_hh": none} | {**arrays}).items()}

    @override
    def linear(self, name: str) -> tuple[str, str] | None:
        found = _LINEAR.fullmatch(name)
        return None if found is None else (found["path"], found["role"])


NAMING = TorchNaming()
