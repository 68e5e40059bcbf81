"""Keras: ``layers/lstm/cell/vars/0``, ``…/forward_layer/cell/vars/0``; ``lstm/lstm_cell/kernel:0`` before Keras 3."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.checkpoint.base import Stored
from harness.checkpoint.naming.base import Block, Naming, TensorName, gated, shaped, sized, whole
from harness.tensors import GATES, Shape

_NAME = re.compile(
    r"(?:(?P<path>.*)[/.])?(?:vars/(?P<number>[012])|(?P<role>kernel|recurrent_kernel|bias)(?::0)?)", re.DOTALL
)
_ROLES = ("kernel", "recurrent_kernel", "bias")
_RECURRENT = re.compile(r"/cell/vars/|recurrent_kernel|(?:lstm|gru|simple_rnn)_cell(?:_\d+)?/(?:kernel|bias):0$")
"""The names that only a recurrent layer has."""

_NUMBERED = re.compile(r"(?<=vars/)[012]$")
_DIRECTION = re.compile(r"[/.](?P<direction>forward|backward)(?:_[^/.]*)?(?=[/.]|$)")
_CELL = re.compile(r"/cell$")


class KerasNaming(Naming):
    """SimpleRNN, LSTM and GRU, Bidirectional, and RNN of their cells."""

    layout = "keras"
    example = "layers/lstm/cell/vars/0 and 1, or lstm/kernel and lstm/recurrent_kernel (Keras)"

    @override
    def parsed(self, name: str) -> TensorName | None:
        if (found := _NAME.fullmatch(name)) is None or not found["path"]:
            return None
        role = found["role"] or _ROLES[int(found["number"])]
        path = _CELL.sub("", found["path"])
        if (direction := _DIRECTION.search(path)) is None:
            return TensorName(path, role)
        return TensorName(path[: direction.start()], role, reverse=direction["direction"] == "backward")

    @override
    def block(self, stored: Mapping[str, Stored], reset: str | None, called: Callable[[str], str]) -> Block | None:
        matrices = [stored[role].shape for role in _ROLES[:2] if role in stored]
        if not any(_RECURRENT.search(called(role)) for role in stored):
            if len(matrices) != 2 or {len(each) for each in matrices} != {2}:
                return None  # such as a Dense, with its bias second
            (_, columns), recurrent = matrices
            if recurrent[1] != columns or gated(columns, recurrent[0]) is None:
                return None
        whole(stored, _ROLES[:2], called)
        found, I, H = sized(stored, _ROLES[:2], called)
        own, columns = None, GATES[found] * H
        if found == "gru":
            bias = stored.get("bias")
            own = (reset or "after") if bias is None else "after" if len(bias.shape) == 2 else "before"
        shaped(stored, {"bias": (2, columns) if own == "after" else (columns,)}, called)
        return Block(found, I, H, own)

    @override
    def sibling(self, name: str, own: str, role: str) -> str:
        numbered = _NUMBERED.search(name) is not None
        return _NUMBERED.sub(str(_ROLES.index(role)), name) if numbered else super().sibling(name, own, role)

    @override
    def beside(self, name: str, shape: Shape, path: str, block: Block, own: str) -> bool:
        # A layer with dropout stores the state of its random numbers, which inference does not use.
        return name.startswith(f"{path}/") and "/seed_generator/" not in name

    @override
    def named(
        self, n: int, reverse: bool | None, block: Block, arrays: Mapping[str, ndarray], dtype: str
    ) -> dict[str, ndarray]:
        path = f"layer{n}" if reverse is None else f"layer{n}.backward" if reverse else f"layer{n}.forward"
        columns = arrays["kernel"].shape[1]
        none = np.zeros((2, columns) if block.reset == "after" else columns, dtype)
        return {f"{path}.{role}": array for role, array in ({"bias": none} | {**arrays}).items()}

    @override
    def linear(self, name: str) -> tuple[str, str] | None:
        parsed = self.parsed(name)
        if parsed is None:
            return None
        # A Dense has its bias second, where a recurrent layer has the recurrent kernel.
        role = {"kernel": "kernel", "recurrent_kernel": "bias", "bias": "bias"}[parsed.role]
        return parsed.path, role


NAMING = KerasNaming()
