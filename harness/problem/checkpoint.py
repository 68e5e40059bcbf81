"""The weights of a checkpoint in the canonical layout."""

from __future__ import annotations

from numpy import ndarray

from harness.checkpoint import Recurrent
from harness.layout import layouts
from harness.layout.tf1 import TF1
from harness.tensors import Structure


def of_checkpoint(
    layers: Recurrent, structure: Structure, dtype: str, readout: str | None = None
) -> dict[str, ndarray]:
    """Read weights and bring them into the split layout.

    Numbers become the dtype before anything is computed with them: a float32 file in float64 has the sum of torch's two
    biases exactly.

    Args:
        layers: which ones.
        structure: the network, which they fit.
        dtype: of the problem.
        readout: the path of the readout, if the structure has one and the file several.

    Raises:
        CheckpointRefused: if they cannot be read.
    """
    tensors = layers.tensors(structure.output, readout)
    typed = {name: tensor.astype(dtype) for name, tensor in tensors.items()}
    layout = layouts()[layers.layout]
    if isinstance(layout, TF1) and layers.cell.forget_bias is not None:
        layout = TF1(layers.cell.forget_bias)
    canonical = layout.to_canonical(typed, structure)
    return {name: canonical[name] for name in structure.weights}
