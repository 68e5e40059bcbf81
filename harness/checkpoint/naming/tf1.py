"""TensorFlow 1: ``rnn/multi_rnn_cell/cell_0/basic_lstm_cell/kernel``, ``bidirectional_rnn/fw/gru_cell/…``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.checkpoint.base import CheckpointRefused, Stored
from harness.checkpoint.naming.base import Block, Naming, TensorName, shaped, whole
from harness.tensors import GATES, Shape

CELLS = {"basic_rnn_cell": "rnn", "basic_lstm_cell": "lstm", "lstm_cell": "lstm", "gru_cell": "gru"}
OTHERS = {
    "projection": "an lstm with a projection",
    "w_f_diag": "an lstm with peepholes",
    "w_i_diag": "an lstm with peepholes",
    "w_o_diag": "an lstm with peepholes",
    "opaque_kernel": "a cuDNN layer, with its weights in one tensor that only cuDNN reads",
}
"""The variables of cells that the harness does not have."""

_NAME = re.compile(
    rf"(?:(?P<path>.*)/)?(?P<cell>{'|'.join(CELLS)})(?:_\d+)?/(?P<role>.*(?:kernel|bias|_diag))", re.DOTALL
)
_NUMBERED = re.compile(
    r"(?P<stack>.*?)/?(?:multi_rnn_cell(?:_\d+)?|(?<=stack_bidirectional_rnn))/cell_(?P<number>\d{1,5})(?:/bidirectional_rnn)?",
    re.DOTALL,
)
_DIRECTION = re.compile(r"(?:^|/)(?P<direction>fw|bw)(?=/|$)")
_WHOLE = re.compile(r"(?:^|/)(?:stack_)?(?:bidirectional_)?rnn(?:_\d+)?$", re.IGNORECASE)
"""Scopes of a recurrent network alone."""

_AROUND = re.compile(r"[^/]*(?:attention|wrapper|norm|projection|highway)", re.IGNORECASE)
"""Scopes beside a cell's for the wrappers of a cell."""

_SLOT = re.compile(r"/(?:Adam|Adagrad|Adadelta|Ftrl|Momentum|RMSProp|ExponentialMovingAverage)(?:_\d+)?$")
"""The variables of optimisers and averages for each variable, under names behind its own."""

_LINEAR = re.compile(r"(?:(?P<path>.*)/)?(?P<role>kernel|weights|bias|biases)", re.DOTALL)


class TF1Naming(Naming):
    """BasicRNNCell, BasicLSTMCell, LSTMCell and GRUCell, in MultiRNNCell, dynamic_rnn and bidirectional_dynamic_rnn."""

    layout = "tf1"
    example = "rnn/basic_lstm_cell/kernel and rnn/basic_lstm_cell/bias (TensorFlow 1)"
    forget_bias = 1.0

    @override
    def parsed(self, name: str) -> TensorName | None:
        if name.rpartition("/")[2] == "opaque_kernel":
            return TensorName(name.rpartition("/")[0], "opaque_kernel")
        if (found := _NAME.fullmatch(name)) is None:
            return None
        path, role = found["path"] or "", found["role"]
        direction = _DIRECTION.search(path)
        reverse = direction is not None and direction["direction"] == "bw"
        if direction is not None:
            path = path[: direction.start()] + path[direction.end() :]
        numbered = _NUMBERED.fullmatch(path)
        # A role begins with its cell, because no shape shows the cell.
        role = f"{CELLS[found['cell']]}:{role}"
        if numbered is None:
            return TensorName(path, role, reverse=reverse)
        return TensorName(numbered["stack"], role, int(numbered["number"]), reverse)

    @override
    def block(self, stored: Mapping[str, Stored], reset: str | None, called: Callable[[str], str]) -> Block | None:
        for role in stored:
            for mark, what in OTHERS.items():
                if mark in role:
                    raise CheckpointRefused(
                        f"has {what} ({role.partition(':')[2] or role}), which the harness does not have"
                    )
        if len(cells := {role.partition(":")[0] for role in stored}) != 1:
            raise CheckpointRefused(f"has several cells under one name: {', '.join(sorted(cells))}")
        (found,) = cells
        by_role = {role.partition(":")[2]: each for role, each in stored.items()}

        def named(role: str) -> str:
            return called(f"{found}:{role}")

        parts = ("gates/", "candidate/") if found == "gru" else ("",)
        whole(by_role, [f"{part}{role}" for part in parts for role in ("kernel", "bias")], named)
        last = "candidate/" if found == "gru" else ""
        kernel, bias = by_role[f"{last}kernel"].shape, by_role[f"{last}bias"].shape
        H, rest = divmod(bias[0], 1 if found == "gru" else GATES[found]) if len(bias) == 1 else (0, 1)
        I = (kernel[1] if kernel[0] == bias[0] != kernel[1] else kernel[0]) - H if len(kernel) == 2 and not rest else 0
        if I < 1:
            problem = f"has {named(f'{last}bias')} of shape {bias} and {named(f'{last}kernel')} of shape {kernel}"
            raise CheckpointRefused(f"{problem}, which do not fit each other in the cell {found}")
        shapes = (
            {"candidate/kernel": (I + H, H), "gates/kernel": (I + H, 2 * H), "gates/bias": (2 * H,)}
            if found == "gru"
            else {"kernel": (I + H, GATES[found] * H)}
        )
        shaped(by_role, shapes, named)
        return Block(found, I, H, "before" if found == "gru" else None)

    @override
    def beside(self, name: str, shape: Shape, path: str, block: Block, own: str) -> bool:
        if _SLOT.search(name) is not None:
            return False
        parts = path.split("/")
        whole = [scope for n in range(1, len(parts) + 1) if _WHOLE.search(scope := "/".join(parts[:n]))]
        # Other variables may share another scope, such as a model's.
        scope = whole[0] if whole else own[: own.find("/", len(path) + 1)]
        below = name.removeprefix(f"{path}/" if path else "")
        return name.startswith(f"{scope}/") or (below != name and _AROUND.match(below) is not None)

    @override
    def named(
        self, n: int, reverse: bool | None, block: Block, arrays: Mapping[str, ndarray], dtype: str
    ) -> dict[str, ndarray]:
        path = f"layer{n}" if reverse is None else f"layer{n}.bw" if reverse else f"layer{n}.fw"
        by_role = {role.partition(":")[2]: array for role, array in arrays.items()}
        if block.cell != "gru":
            return {f"{path}.{role}": array for role, array in by_role.items()}
        return {
            f"{path}.{role}": np.concatenate([by_role[f"gates/{role}"], by_role[f"candidate/{role}"]], axis=-1)
            for role in ("kernel", "bias")
        }

    @override
    def linear(self, name: str) -> tuple[str, str] | None:
        found = _LINEAR.fullmatch(name)
        return None if found is None else (found["path"] or "", "bias" if found["role"].startswith("b") else "kernel")


NAMING = TF1Naming()
