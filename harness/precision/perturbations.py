"""Seeded directions in the space of all tensors that have a gradient, so that two sides can take the same ones."""

from __future__ import annotations

from collections.abc import Iterator

from numpy import ndarray

from harness.problem.arrays import generator
from harness.tensors import Structure

COUNT = 8


def directions(structure: Structure, count: int = COUNT) -> Iterator[dict[str, ndarray]]:
    """Yield random directions: standard normal numbers in float64 of the shape of each gradient, by name."""
    for number in range(count):
        yield {
            name: generator(number, f"direction of {name}").normal(size=shape)
            for name, shape in structure.gradients.items()
        }
