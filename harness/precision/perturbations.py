"""Directions in the space of all that there is a gradient of: seeded, so that two sides can take the same ones."""

from __future__ import annotations

from collections.abc import Iterator

from numpy import ndarray

from harness.problem.arrays import generator
from harness.tensors import Structure

COUNT = 8


def directions(structure: Structure, count: int = COUNT) -> Iterator[dict[str, ndarray]]:
    """Yield random directions: for each gradient, by name, standard normal numbers of its shape, in float64."""
    for number in range(count):
        yield {
            name: generator(number, f"direction of {name}").normal(size=shape)
            for name, shape in structure.gradients.items()
        }
