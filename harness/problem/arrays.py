"""The arrays that array specs describe.

Random numbers come from NumPy's PCG64. They are drawn in float64 and then rounded, so a case in float32 has the rounded
numbers of the same case in float64. Each tensor draws from a stream of its own, keyed by the seed and the tensor's
name. So one seed serves all tensors, no tensor repeats another, and a new layer changes nothing in the layers below.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from harness.case.fields import ArraySpec
from harness.tensors import Shape


def make(spec: ArraySpec, tensor: str, shape: Shape, dtype: DTypeLike, folder: Path) -> ndarray:
    """Make the array that a spec describes.

    Args:
        spec: A valid spec.
        tensor: The name of the tensor that it fills, which keys its random numbers.
        shape: The tensor's shape.
        dtype: A float dtype, or an integer dtype for class labels.
        folder: The folder that contains the array files.

    Returns:
        A new C-contiguous array.
    """
    return np.ascontiguousarray(_float64(spec, tensor, shape, dtype, folder).astype(dtype))


def _float64(spec: ArraySpec, tensor: str, shape: Shape, dtype: DTypeLike, folder: Path) -> ndarray:
    if isinstance(spec, str):
        return np.full(shape, {"zeros": 0.0, "ones": 1.0}[spec])
    if "fill" in spec:
        return np.full(shape, spec["fill"])
    if "uniform" in spec:
        low, high = spec["uniform"]
        random = generator(spec.get("seed", 0), tensor)
        if np.issubdtype(dtype, np.integer):
            return random.integers(int(low), int(high), shape)
        return random.uniform(low, high, shape)
    if "normal" in spec:
        return generator(spec.get("seed", 0), tensor).normal(0.0, spec["normal"] + 0.0, shape)  # NumPy refuses −0.0
    if "values" in spec:
        return np.array(spec["values"])
    if "one_hot" in spec:
        positions = np.array(spec["one_hot"], dtype=np.intp)  # the tensor's shape without its last dimension
        return np.eye(shape[-1])[positions]
    with np.load(folder / spec["file"], allow_pickle=False) as archive:
        array: ndarray = archive[spec["key"]]
        return array


def generator(seed: int, tensor: str) -> np.random.Generator:
    """Return the random stream of one tensor under one seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(tensor.encode())])))
