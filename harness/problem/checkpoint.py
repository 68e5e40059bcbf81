"""The weights of a checkpoint in the canonical layout."""

from __future__ import annotations

from numpy import ndarray

from harness.checkpoint import Recurrent
from harness.layout import layouts
from harness.layout.tf1 import TF1Layout
from harness.tensors import Structure


def of_checkpoint(
    layers: Recurrent, structure: Structure, dtype: str, readout: str | None = None
) -> dict[str, ndarray]:
    """Read weights and bring them into the split layout.

    Numbers are converted to the dtype before anything is computed with them. So the sum of torch's two biases, read
    from a float32 file into float64, is exact.

    Args:
        layers: The layers to read.
        structure: The network, which they fit.
        dtype: The dtype of the problem.
        readout: The path of the readout, if the structure has one and the file has several.

    Raises:
        CheckpointRefused: if they cannot be read.
    """
    tensors = layers.tensors(structure.output, readout)
    typed = {name: tensor.astype(dtype) for name, tensor in tensors.items()}
    layout = layouts()[layers.layout]
    if isinstance(layout, TF1Layout) and layers.cell.forget_bias is not None:
        layout = TF1Layout(layers.cell.forget_bias)
    canonical = layout.to_canonical(typed, structure)
    return {name: canonical[name] for name in structure.weights}
