"""torch: state dicts, by ``torch.load`` with ``weights_only``, or by safetensors' own reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy import ndarray
from typing_extensions import override

from harness.checkpoint import TensorFile
from harness.implementations.pytorch import TORCH
from harness.port.sides.base import Side, merged
from harness.tensors import Structure


class TorchSide(Side):
    """nn.RNN, nn.LSTM and nn.GRU."""

    name, to, layout, framework, implementation = "torch", "torch", "torch", TORCH, "torch"
    endings = (".pt", ".pth", ".safetensors")

    @override
    def why_not(self, structure: Structure, activation: str) -> str:
        if structure.cell == "gru" and structure.reset == "before":
            return (
                "its gru has the reset before the recurrent product, and torch's after it: two functions, and no "
                "weights make them equal"
            )
        if structure.cell == "rnn" and activation not in ("tanh", "relu"):
            return f"its activation is {activation}, and nn.RNN has tanh and relu"
        return ""

    @override
    def settled(self, weights: Mapping[str, ndarray]) -> dict[str, ndarray]:
        settled = dict(weights)
        for name in weights:
            if name.startswith("bias_ih"):
                other = name.replace("bias_ih", "bias_hh")
                rows, H = weights[name.replace("bias_ih", "weight_hh")].shape
                added = 2 * H if rows == 3 * H else rows  # a gru's candidate has two that are not only added
                settled[name], settled[other] = merged(weights[name], weights[other], added)
        return settled

    @override
    def arrays(self, file: TensorFile) -> Mapping[str, ndarray]:
        import torch

        if file.format == "safetensors":
            from safetensors.torch import load_file

            read = load_file(file.path)
        elif file.format == "torch":
            read = _flat(torch.load(file.path, map_location="cpu", weights_only=True))
        else:
            return super().arrays(file)
        floats = {name: each.detach() for name, each in read.items() if each.is_floating_point()}
        # NumPy has no bfloat16.
        return {name: each.to(torch.promote_types(each.dtype, torch.float32)).numpy() for name, each in floats.items()}

    @override
    def write(self, path: Path, weights: Mapping[str, ndarray], structure: Structure, activation: str) -> None:
        import torch

        state = {name: torch.tensor(array) for name, array in weights.items()}
        if path.name.endswith(".safetensors"):
            from safetensors.torch import save_file

            save_file(state, path)
        else:
            torch.save(state, path)


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return the tensors in mappings of mappings; their names are the keys on the way, with dots between."""
    import torch

    if isinstance(value, torch.Tensor):
        return {path: value}
    found: dict[str, Any] = {}
    for key, below in value.items() if isinstance(value, dict) else ():
        found |= _flat(below, f"{path}.{key}" if path else str(key))
    return found


SIDE = TorchSide()
